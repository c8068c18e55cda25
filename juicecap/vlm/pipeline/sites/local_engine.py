"""An engine of this machine with its batches: admitted as soon as there is room, prepared, and answered concurrently.

The number in progress is limited to what keeps the engine busy, and by the bytes of their frames.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from juicecap.vlm.base import Capabilities, Engine, Prepared
from juicecap.vlm.pipeline.preparing import Surroundings, prepare
from juicecap.vlm.pipeline.resources.frame_budget import Reservation
from juicecap.vlm.pipeline.resources.ref_counted_cache import RefCountedCache
from juicecap.vlm.pipeline.sites.site import Served, SiteRequest, Watcher
from juicecap.vlm.pipeline.tasks import all_of


class LocalEngine:
    """An open engine for the batches of one pipeline. `turns` are its concurrent calls, and at most `most` batches are let in."""

    def __init__(
        self,
        engine: Engine,
        capabilities: Capabilities,
        here: Surroundings,
        shared: RefCountedCache,
        turns: asyncio.Semaphore,
        *,
        most: int,
    ) -> None:
        self.engine, self.capabilities, self.here, self.shared, self.turns = engine, capabilities, here, shared, turns
        self.most, self.under_way = most, asyncio.Semaphore(most)

    async def admit(self, requests: int) -> LocalPlace:
        """See `SiteEngine`."""
        await self.under_way.acquire()
        try:
            return LocalPlace(self, await self.here.memory.share(requests))
        except BaseException:
            self.under_way.release()
            raise


class LocalPlace:
    """The place of a batch (`Place`), with the memory of its frames."""

    def __init__(self, engine: LocalEngine, share: Reservation) -> None:
        self._engine, self._share = engine, share

    async def serve(self, batch: Sequence[SiteRequest], watcher: Watcher) -> list[Served | None]:
        """See `Place`."""
        engine = self._engine
        with engine.shared.hold() as hold:
            prepared = await all_of(prepare(asked, engine.capabilities, engine.here, hold) for asked in batch)
            for index, each in enumerate(prepared):
                if isinstance(each, Served):
                    watcher.settled(index, each)
            ready = [each for each in prepared if isinstance(each, Prepared)]
            self._share.settle(_bytes(ready))
            if not ready:
                return [None] * len(batch)
            async with engine.turns:
                with watcher.calling(len(ready)):
                    outcomes = iter(await engine.engine.generate(ready))
            return [Served(outcome=next(outcomes)) if isinstance(each, Prepared) else None for each in prepared]

    def leave(self) -> None:
        """See `Place`."""
        self._share.free()
        self._engine.under_way.release()


def _bytes(prepared: Iterable[Prepared]) -> list[int]:
    """Bytes of each request's frames; a picture that several share counts once."""
    seen: set[int] = set()
    sizes = []
    for each in prepared:
        own = {id(picture): picture.pixels.nbytes for picture in each.pictures if id(picture) not in seen}
        seen |= own.keys()
        sizes.append(sum(own.values()))
    return sizes
