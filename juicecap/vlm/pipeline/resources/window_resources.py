"""What requests share: `Resources` in the process, `WindowResources` in a window, `QueueResources` in one of its queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from juicecap.errors import MediaError
from juicecap.fragment import located
from juicecap.media.access.remote import fetch, rules_of
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import PICTURE_FPS
from juicecap.sample import is_remote
from juicecap.vlm.base import Limits, ModelSettings
from juicecap.vlm.journal import HeldFailures, Journal
from juicecap.vlm.journal.store import Record
from juicecap.vlm.pipeline.engines import Engines
from juicecap.vlm.pipeline.lookup.digests import Digests, DigestThreads
from juicecap.vlm.pipeline.lookup.single_flight import SingleFlight
from juicecap.vlm.pipeline.resources.engine_stats import EngineStats
from juicecap.vlm.pipeline.resources.frame_budget import FrameBudget
from juicecap.vlm.pipeline.resources.ref_counted_cache import RefCountedCache

if TYPE_CHECKING:
    from juicecap.media.video.probe import VideoInfo
    from juicecap.media.workers.pool import DecodePool


class Resources:
    """What all windows share. All methods are called on the core's loop."""

    def __init__(self) -> None:
        self.engines = Engines()
        self.readers = DigestThreads()
        self._pools: dict[tuple[int | None, float, int], DecodePool] = {}
        self._memories: dict[int | None, FrameBudget] = {}

    def pool(self, limits: Limits) -> DecodePool:
        """The processes that decode within these limits."""
        from juicecap.media.workers.pool import DecodePool

        key = limits.workers, limits.decode_seconds, limits.decode_bytes
        if key not in self._pools:
            self._pools[key] = DecodePool(limits.workers, cpu_seconds=limits.decode_seconds, memory=limits.decode_bytes)
        return self._pools[key]

    def memory(self, limits: Limits) -> FrameBudget:
        """The room for frames, of all windows with this limit together."""
        if limits.frame_bytes not in self._memories:
            self._memories[limits.frame_bytes] = FrameBudget(limits.frame_bytes)
        return self._memories[limits.frame_bytes]

    async def probe(self, path: str, limits: Limits, picture_fps: float = PICTURE_FPS) -> VideoInfo:
        """The facts in the header of a video, or of the part that a path with a fragment names, read by a decoding worker."""
        file, span = located(path)
        if not (limits.media.allow_remote and is_remote(file)):
            return await self.pool(limits).probe(file, limits.media, picture_fps=picture_fps, span=span)
        brought = await fetch(file, limits.media)
        try:
            return await self.pool(limits).probe(brought.path, rules_of(brought.path, limits.media), span=span)
        except MediaError as error:
            raise MediaError(error.code, brought.renamed(error.message), retryable=error.retryable) from error

    async def close(self) -> list[BaseException]:
        """Close engines and processes; returns what went wrong with engines."""
        errors = await self.engines.close()
        for pool in self._pools.values():
            await pool.close()
        return errors


class WindowResources:
    """What all queues of one window share."""

    def __init__(self, common: Resources, journal: Journal | None) -> None:
        self.common, self.journal = common, journal
        self.shared = RefCountedCache()
        """Media that several requests need."""
        self._single_flights: dict[ModelSettings, SingleFlight] = {}
        self._digests: dict[MediaLimits, Digests] = {}

    def single_flight(self, settings: ModelSettings) -> SingleFlight:
        """The requests to this engine that are in progress."""
        return self._single_flights.setdefault(settings, SingleFlight())

    def digests(self, rules: MediaLimits) -> Digests:
        """The digests of media within these limits."""
        if rules not in self._digests:
            self._digests[rules] = Digests(self.common.readers, rules, self.journal)
        return self._digests[rules]


class QueueResources:
    """What the engine pipelines of one queue share. `held` keeps the failures of its requests from the journal for a time."""

    def __init__(self, window: WindowResources, limits: Limits, stats: EngineStats, held: HeldFailures | None) -> None:
        self.limits, self.stats, self._held = limits, stats, held
        self.common, self.journal = window.common, window.journal
        self.shared, self.single_flight = window.shared, window.single_flight
        self.digests = window.digests(limits.media)

    @property
    def memory(self) -> FrameBudget:
        """The room for frames."""
        return self.common.memory(self.limits)

    def record(self, records: Sequence[Record]) -> None:
        """Write records to the journal, if there is one."""
        if self.journal:
            self.journal.append(records, self._held)
