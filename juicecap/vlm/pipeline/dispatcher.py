"""Batches at the engine: let in as soon as a site has room, answered concurrently, and written to the journal.

The outcomes of one call are written to the journal together, so that a resumed run cuts the same batches as the one before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from juicecap.vlm.base import Outcome
from juicecap.vlm.journal.entries import engine_entry, entries_of, joined, medium_entry
from juicecap.vlm.journal.store import ClearFailure, Record
from juicecap.vlm.outcomes import signed
from juicecap.vlm.pipeline.lookup.cache_lookup import CacheMiss
from juicecap.vlm.pipeline.lookup.keys import RequestKeys
from juicecap.vlm.pipeline.lookup.single_flight import SingleFlight
from juicecap.vlm.pipeline.preparing import OF_THE_CONTENT
from juicecap.vlm.pipeline.resources import answer_counts
from juicecap.vlm.pipeline.resources.window_resources import QueueResources
from juicecap.vlm.pipeline.sites.site import Place, Served, SiteEngine, SiteRequest
from juicecap.vlm.pipeline.tasks import Tasks


class Dispatcher:
    """Sends one pipeline's batches to an open engine."""

    def __init__(
        self, keys: RequestKeys, engine: SiteEngine, single_flight: SingleFlight, resources: QueueResources, tasks: Tasks
    ) -> None:
        self.keys, self.single_flight, self.resources = keys, single_flight, resources
        self._engine, self._tasks = engine, tasks

    async def enter(self, batch: list[CacheMiss]) -> None:
        """Admit a batch as soon as there is room."""
        place = await self._engine.admit(len(batch))
        served = self._tasks.start(_Batch(batch, self).serve(place))
        served.add_done_callback(lambda _: place.leave())  # also if it was given up before its task had begun


class _Batch:
    """A batch that was let in, as it is watched (`Watcher`)."""

    def __init__(self, batch: list[CacheMiss], dispatcher: Dispatcher) -> None:
        self._batch, self._dispatcher, self._resources = batch, dispatcher, dispatcher.resources

    async def serve(self, place: Place) -> None:
        """From requests to outcomes."""
        asked = [wanted.to_site() for wanted in self._batch]
        served = await place.serve(asked, self)
        answered = []
        for index, each in enumerate(served):
            if each is None:
                continue
            if each.was_asked:
                answered.append((self._batch[index], asked[index], each))
            else:
                self.settled(index, each)
        if answered:
            self._answered(answered)

    def calling(self, requests: int) -> AbstractContextManager[None]:
        """See `Watcher`."""
        return self._resources.stats.call(requests)

    def settled(self, index: int, served: Served) -> None:
        """See `Watcher`."""
        keyed, failure, part = self._batch[index].keyed, served.outcome.failure, served.unusable
        if failure and part and failure.code in OF_THE_CONTENT:
            self._resources.record(medium_entry(keyed.media[part], part.value, failure))
        self._resources.stats.count(answer_counts.failed(keyed.request.candidates))
        self._dispatcher.single_flight.settle(keyed, served.outcome)

    def _answered(self, answered: Sequence[tuple[CacheMiss, SiteRequest, Served]]) -> None:
        """Write the outcomes of one call to the journal together, and pass them on."""
        keys, journal = self._dispatcher.keys, self._resources.journal
        self._resources.stats.count(answer_counts.given(each.outcome for _, _, each in answered))
        records: list[Record] = [*engine_entry(keys.engine)]
        answered = [(wanted, asked, replace(each, outcome=signed(each.outcome, keys.engine))) for wanted, asked, each in answered]
        for wanted, asked, each in answered:
            if journal and journal.ignores_failures:
                records += [ClearFailure(key) for key in wanted.keyed.media.values()]
            records += entries_of(keys.sent_key(wanted.keyed, each.outcome.unsent), asked, each.outcome)
        meant = [keys.heard(joined(wanted.known, each.outcome)) for wanted, _, each in answered]
        self._resources.stats.used(meant)
        self._resources.record([*records, *keys.to_pin()])
        for (wanted, _, _), outcome in zip(answered, meant, strict=True):
            self._count(wanted, outcome)
            self._dispatcher.single_flight.settle(wanted.keyed, outcome)

    def _count(self, wanted: CacheMiss, outcome: Outcome) -> None:
        """Count where the answers to a request came from, of which some may have been known."""
        stats = self._resources.stats
        if outcome.failure:
            stats.count(answer_counts.failed(wanted.keyed.request.candidates))
            return
        seen, key, first = self._resources.seen, wanted.keyed.flight, len(wanted.known.answers)
        if first:
            stats.count(answer_counts.known(seen, key, wanted.known))
        stats.count(answer_counts.asked(seen, key, range(first, len(outcome.answers))))
