"""Batches at the engine: admitted as soon as there is room, prepared, answered concurrently, and written to the journal.

The number in progress is limited to what keeps the engine busy, and by the bytes of their frames. The outcomes of one call are
written to the journal together, so that a resumed run cuts the same batches as the one before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

from juicecap.vlm.base import Engine, ModelSettings, Outcome, Prepared
from juicecap.vlm.journal.entries import entries_of, joined
from juicecap.vlm.journal.store import Entry
from juicecap.vlm.pipeline.batching import batches_ahead, calls_at_once
from juicecap.vlm.pipeline.lookup.cache_lookup import CacheMiss
from juicecap.vlm.pipeline.lookup.keys import RequestKeys
from juicecap.vlm.pipeline.lookup.single_flight import SingleFlight
from juicecap.vlm.pipeline.preparing import prepare
from juicecap.vlm.pipeline.resources.frame_budget import Reservation
from juicecap.vlm.pipeline.resources.window_resources import QueueResources
from juicecap.vlm.pipeline.tasks import Tasks, all_of


class Dispatcher:
    """Sends one pipeline's batches to an open engine."""

    def __init__(
        self,
        settings: ModelSettings,
        keys: RequestKeys,
        engine: Engine,
        size: int,
        single_flight: SingleFlight,
        resources: QueueResources,
        tasks: Tasks,
    ) -> None:
        self._keys, self._capabilities = keys, keys.capabilities
        self._engine, self._single_flight, self._resources, self._tasks = engine, single_flight, resources, tasks
        calls = calls_at_once(engine.max_concurrent_calls, keys.capabilities, resources.limits, size)
        self._turns = resources.common.engines.turns(settings, calls)
        self._memory, self._stats = resources.memory, resources.stats
        self._under_way = asyncio.Semaphore(calls + batches_ahead(size, calls))

    async def enter(self, batch: list[CacheMiss]) -> None:
        """Admit a batch as soon as there is room."""
        await self._under_way.acquire()
        share = await self._memory.share(len(batch))
        served = self._tasks.start(self._serve(batch, share))
        served.add_done_callback(partial(self._left, share))

    async def _serve(self, batch: list[CacheMiss], share: Reservation) -> None:
        """From requests to outcomes."""
        with self._resources.shared.hold() as hold:
            prepared = await all_of(prepare(wanted, self._capabilities, self._resources, hold) for wanted in batch)
            ready: list[tuple[CacheMiss, Prepared]] = []
            for wanted, each in zip(batch, prepared, strict=True):
                if isinstance(each, Prepared):
                    ready.append((wanted, each))
                else:
                    self._single_flight.settle(wanted.keyed, each)
            share.settle(_bytes(each for _, each in ready))
            if not ready:
                return
            async with self._turns:
                with self._stats.call(len(ready)):
                    outcomes = await self._engine.generate([each for _, each in ready])
            self._stats.answered(outcomes)
            self._answered(ready, outcomes)

    def _left(self, share: Reservation, _: object) -> None:
        """A batch is done, or was given up, perhaps before its task had begun."""
        share.free()
        self._under_way.release()

    def _answered(self, ready: list[tuple[CacheMiss, Prepared]], outcomes: Sequence[Outcome]) -> None:
        """Write the outcomes of one call to the journal together, and pass them on."""
        entries: list[Entry] = []
        for (wanted, prepared), outcome in zip(ready, outcomes, strict=True):
            entries += entries_of(self._keys.sent_key(wanted.keyed, outcome.unsent), prepared, outcome)
            self._stats.count(replayed=prepared.first, asked=len(prepared.seeds))
        meant = [self._keys.heard(joined(wanted.known, outcome)) for (wanted, _), outcome in zip(ready, outcomes, strict=True)]
        self._resources.record([*entries, *self._keys.to_pin()])
        for (wanted, _), outcome in zip(ready, meant, strict=True):
            self._single_flight.settle(wanted.keyed, outcome)


def _bytes(prepared: Iterable[Prepared]) -> list[int]:
    """Bytes of each request's frames; a picture that several share counts once."""
    seen: set[int] = set()
    sizes = []
    for each in prepared:
        own = {id(picture): picture.pixels.nbytes for picture in each.pictures if id(picture) not in seen}
        seen |= own.keys()
        sizes.append(sum(own.values()))
    return sizes
