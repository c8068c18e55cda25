"""Resources that requests share: one `Resources` for the process, one `WindowResources` for each window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from juicecap.errors import MediaError
from juicecap.fragment import located
from juicecap.media.access.remote import fetch, rules_of
from juicecap.media.sampling import PICTURE_FPS
from juicecap.sample import is_remote
from juicecap.vlm.base import Limits
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.store import Record
from juicecap.vlm.pipeline.engines import Engines
from juicecap.vlm.pipeline.lookup.digests import DigestThreads
from juicecap.vlm.pipeline.resources.engine_stats import ENGINE_STATS
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
        return self._memories.setdefault(limits.frame_bytes, FrameBudget(limits.frame_bytes))

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


@dataclass(frozen=True)
class WindowResources:
    """What the engine pipelines of one window share."""

    common: Resources
    limits: Limits
    journal: Journal | None
    shared: RefCountedCache = field(default_factory=RefCountedCache)

    def record(self, records: Sequence[Record]) -> None:
        """Write records to the journal, if there is one."""
        if self.journal:
            self.journal.append(records)

    def count(self, *, replayed: int, asked: int = 0) -> None:
        """Count answers from the journal, and answers requested from an engine."""
        ENGINE_STATS.recalled(replayed)
        if self.journal:
            self.journal.replayed += replayed
            self.journal.asked += asked
