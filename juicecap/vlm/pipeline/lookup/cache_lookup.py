"""The cache lookup: batches of requests are digested and looked up in the journal, some batches ahead of their turn.

Requests in the journal get their outcomes at once, requests that are identical to one in progress wait for it
(`single_flight.py`), and the rest goes to the engine. Batches stay as they were cut, so that a resumed run has the same batches.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from juicecap.errors import SampleError
from juicecap.media.access.remote import Fetched
from juicecap.vlm.base import Limits, Outcome, Request
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.entries import EntriesByKey
from juicecap.vlm.outcomes import failure_of
from juicecap.vlm.pipeline.batching import QueuedRequest
from juicecap.vlm.pipeline.lookup.digests import Digest, Digests, OfFiles
from juicecap.vlm.pipeline.lookup.keys import KeyedRequest, RequestKeys
from juicecap.vlm.pipeline.lookup.single_flight import SingleFlight
from juicecap.vlm.pipeline.resources import answer_counts
from juicecap.vlm.pipeline.resources.ref_counted_cache import Lease
from juicecap.vlm.pipeline.resources.window_resources import QueueResources, Resources
from juicecap.vlm.pipeline.sites.site import SiteRequest
from juicecap.vlm.pipeline.tasks import Tasks, all_of

REQUESTS_AHEAD = 64
"""Requests that are digested and looked up before it is their turn, for each engine; two batches, if that is more."""


@dataclass
class CacheLookup:
    """A request and the result of its lookup; without `keyed` its media cannot be read, and it has its outcome."""

    asked: QueuedRequest
    keyed: KeyedRequest | None = None
    entries: EntriesByKey = field(default_factory=dict)


class CacheMiss(NamedTuple):
    """A request with missing answers, and the known part of its outcome."""

    keyed: KeyedRequest
    known: Outcome

    def to_site(self) -> SiteRequest:
        """What a site gets of it."""
        keyed = self.keyed
        return SiteRequest(request=keyed.request, seed=keyed.seed, first=len(self.known.answers), files=keyed.files)


class LookupStage:
    """Looks up the batches of one engine pipeline, in order."""

    def __init__(
        self,
        batches: asyncio.Queue[list[QueuedRequest]],
        size: int,
        keys: RequestKeys,
        single_flight: SingleFlight,
        resources: QueueResources,
        tasks: Tasks,
    ) -> None:
        """Look up the batches of the queue `batches`, which have at most `size` requests."""
        self._batches = batches
        self._keys, self._single_flight, self._resources, self._tasks = keys, single_flight, resources, tasks
        self._digests = resources.digests
        self._ahead = asyncio.Semaphore(max(2, resources.site.width * REQUESTS_AHEAD // size))
        self._asks_failures_again = resources.journal is not None and resources.journal.ignores_failures
        self._looked_up: asyncio.Queue[tuple[list[CacheLookup], asyncio.Task[None]]] = asyncio.Queue()
        self._tasks.start(self._look_ahead())

    async def next(self) -> list[CacheMiss]:
        """The cache misses of the next batch."""
        batch, reading = await self._looked_up.get()
        await reading
        wanted = await self._wanted(batch)
        self._ahead.release()
        return wanted

    async def _look_ahead(self) -> None:
        """Look up all waiting batches, first what needs no reading of media, and read media ahead."""
        while True:
            await self._ahead.acquire()
            waiting = [await self._batches.get()]
            while not self._batches.empty() and not self._ahead.locked():
                await self._ahead.acquire()
                waiting.append(self._batches.get_nowait())
            cases = [[CacheLookup(asked) for asked in batch] for batch in waiting]
            recalled = await self._digests.recalled(asked.request for batch in waiting for asked in batch)
            for case in itertools.chain.from_iterable(cases):
                if covers(recalled, case.asked.request):
                    self._meet(case, recalled)
            await self._read_entries(case for case in itertools.chain.from_iterable(cases) if case.keyed)
            for batch in cases:
                self._looked_up.put_nowait((batch, self._tasks.start(self._read(batch, recalled))))

    async def _read(self, batch: list[CacheLookup], recalled: Mapping[str, Digest]) -> None:
        """Look up the requests of a batch whose media must be read first."""
        unknown = [case for case in batch if not case.keyed]
        if unknown:
            with self._resources.shared.hold() as hold:
                await all_of(self._digested(case, recalled, hold) for case in unknown)
            await self._read_entries(case for case in unknown if case.keyed)

    async def _digested(self, case: CacheLookup, recalled: Mapping[str, Digest], hold: Lease) -> None:
        try:
            case.asked = await self._brought(case.asked, hold)
            self._meet(case, await self._digests.complete(case.asked.request, recalled, hold))
        except SampleError as error:
            self._resources.stats.count(answer_counts.failed(case.asked.request.candidates))
            case.asked.settle(Outcome(failure=failure_of(error)))

    async def _brought(self, asked: QueuedRequest, hold: Lease) -> QueuedRequest:
        """The request with its remote media downloaded; they are kept until it has its outcome."""
        brought = await self._resources.site.brought(asked.request.files(), self._resources.limits.media, hold)
        if not brought:
            return asked
        request = asked.request.with_media({each.url: each.path for each in brought})
        return QueuedRequest(request, partial(told, asked.settle, brought))

    def _meet(self, case: CacheLookup, digests: Mapping[str, Digest]) -> None:
        case.keyed = self._keys.key(case.asked.request, digests)
        self._single_flight.register(case.keyed)

    async def _read_entries(self, cases: Iterable[CacheLookup]) -> None:
        cases, journal = list(cases), self._resources.journal
        keys = {key for case in cases if case.keyed for key in case.keyed.journal_keys}
        if journal and keys:
            entries = await asyncio.wrap_future(journal.get_entries(list(keys)))
            for case in cases:
                case.entries = entries

    async def _wanted(self, batch: list[CacheLookup]) -> list[CacheMiss]:
        """Settle known requests, join those in progress, and return the rest."""
        wanted: list[CacheMiss] = []
        for case in batch:
            asked, keyed = case.asked, case.keyed
            if keyed is None or self._single_flight.join(keyed, partial(self._settle_joined, asked)):
                continue
            if self._single_flight.seen_again(keyed):
                case.keyed = keyed = self._keys.renewed(keyed)
                await self._read_entries([case])
            keyed = keyed.as_kept(case.entries)
            known = keyed.known(case.entries)
            whole = known.failure or len(known.answers) == asked.request.candidates
            meant = self._keys.heard(known) if whole else known
            if whole and meant.failure and self._asks_failures_again:
                whole, known = False, Outcome(seed=known.seed)
            if whole:
                self._count_known(keyed, meant)
                self._resources.stats.used([meant])
                asked.settle(meant)
                self._single_flight.release(keyed)
            else:
                self._single_flight.start(keyed, asked.settle)
                wanted.append(CacheMiss(keyed, known))
        return wanted

    def _settle_joined(self, asked: QueuedRequest, outcome: Outcome) -> None:
        """Settle a request with the outcome of the one that it joined."""
        self._resources.stats.count(answer_counts.joined(outcome, asked.request.candidates))
        self._resources.stats.used([outcome])
        asked.settle(outcome)

    def _count_known(self, keyed: KeyedRequest, outcome: Outcome) -> None:
        """Count what the journal says of a request."""
        failed = answer_counts.failed(keyed.request.candidates)
        known = failed if outcome.failure else answer_counts.known(self._resources.seen, keyed.flight, outcome)
        self._resources.stats.count(known)


async def known_outcomes(requests: Sequence[Request], journal: Journal, limits: Limits, resources: Resources) -> list[Outcome]:
    """What the journal knows of each request; `core.known_outcomes` runs this on the event loop."""
    models = dict.fromkeys(request.model for request in requests)
    keys = {model: await RequestKeys.of(resources.site, model, limits, journal) for model in models}
    recalled = await Digests(resources.site.files, limits.media, journal).recalled(requests, reread=True)
    keyed = [keys[request.model].key(request, recalled) if covers(recalled, request) else None for request in requests]
    entries = await asyncio.wrap_future(journal.get_entries([key for each in keyed if each for key in each.journal_keys]))
    return [each.as_kept(entries).known(entries) if each else Outcome() for each in keyed]


def covers(digests: Mapping[str, Digest], asked: OfFiles) -> bool:
    """Whether the digests of all files are there."""
    return all(file.value in digests for file in asked.files())


def told(settle: Callable[[Outcome], None], brought: Iterable[Fetched], outcome: Outcome) -> None:
    """Settle with a message about addresses instead of temporary files."""
    for each in brought:
        if outcome.failure:
            outcome = replace(outcome, failure=replace(outcome.failure, message=each.renamed(outcome.failure.message)))
    settle(outcome)
