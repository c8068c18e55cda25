"""This machine as a site: threads that digest, workers that decode and measure, and the engines of this process."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING

from juicecap.media.access.remote import Fetched, fetch
from juicecap.media.rules import MediaLimits
from juicecap.sample import is_remote
from juicecap.vlm.base import Limits, ModelSettings, Part, Request
from juicecap.vlm.pipeline.batching import batches_ahead, calls_at_once
from juicecap.vlm.pipeline.engines import Engines
from juicecap.vlm.pipeline.lookup.digests import DigestThreads
from juicecap.vlm.pipeline.lookup.legacy_engine import LegacyEngine, legacy_engine
from juicecap.vlm.pipeline.preparing import Surroundings
from juicecap.vlm.pipeline.resources.frame_budget import FrameBudget
from juicecap.vlm.pipeline.resources.ref_counted_cache import Lease, RefCountedCache
from juicecap.vlm.pipeline.sites.local_engine import LocalEngine
from juicecap.vlm.pipeline.sites.site import Description

if TYPE_CHECKING:
    from juicecap.media.workers.pool import DecodePool


class LocalSite:
    """See the module's docstring. All methods are called on one loop. `files` are the threads that digest."""

    width = 1

    def __init__(self, files: DigestThreads | None = None, *, part: int = 1) -> None:
        """`part`: how many sites have to share this machine's memory."""
        self.files, self._part = files or DigestThreads(), part
        self.engines = Engines()
        self._pools: dict[tuple[int | None, float, int], DecodePool] = {}
        self._memories: dict[int | None, FrameBudget] = {}

    def expect(self, request: Request) -> None:
        """See `Site`."""
        self.engines.expect(request)

    def measurer(self, limits: Limits) -> DecodePool:
        """The processes that decode and measure within these limits."""
        from juicecap.media.workers.pool import DecodePool

        key = limits.workers, limits.decode_seconds, limits.decode_bytes
        if key not in self._pools:
            self._pools[key] = DecodePool(limits.workers, cpu_seconds=limits.decode_seconds, memory=limits.decode_bytes)
        return self._pools[key]

    def memory(self, limits: Limits) -> FrameBudget:
        """The room for frames, of all windows with this limit together."""
        if limits.frame_bytes not in self._memories:
            self._memories[limits.frame_bytes] = FrameBudget(limits.frame_bytes, part=self._part)
        return self._memories[limits.frame_bytes]

    async def brought(self, files: Iterable[Part], rules: MediaLimits, hold: Lease) -> list[Fetched]:
        """The remote ones among these files, downloaded; `hold` keeps them.

        Raises:
            MediaError, EnvironmentFailure: as `fetch`.
        """
        addresses = [file.value for file in files if rules.allow_remote and is_remote(file.value)]
        return [await hold.get(("brought", each, rules), partial(fetch, each, rules)) for each in addresses]

    async def described(self, settings: ModelSettings, transport_choice: str = "") -> Description:
        """See `Site`."""
        return (await self.engines.described(settings, transport_choice)).description

    async def legacy(self, settings: ModelSettings) -> LegacyEngine:
        """See `Site`."""
        return await legacy_engine((await self.engines.described(settings)).backend, settings)

    async def opened(self, settings: ModelSettings, limits: Limits, size: int, shared: RefCountedCache) -> LocalEngine:
        """See `Site`."""
        engine = await self.engines.opened(settings)
        capabilities = (await self.described(settings)).capabilities
        calls = calls_at_once(engine.max_concurrent_calls, capabilities, limits, size)
        surroundings = Surroundings(self.files, self.measurer(limits), self.memory(limits), limits)
        turns, ahead = self.engines.turns(settings, calls), batches_ahead(size, calls)
        return LocalEngine(engine, capabilities, surroundings, shared, turns, most=calls + ahead)

    async def close_engines(self, but: Collection[ModelSettings] = ()) -> list[BaseException]:
        """See `Site`."""
        return await self.engines.close(but)

    async def close(self) -> list[BaseException]:
        """See `Site`."""
        errors = await self.engines.close()
        for pool in self._pools.values():
            await pool.close()
        return errors
