"""The way of requests to one engine: cut into groups, looked up, their media decoded ahead, answered, written down.

Everything here runs on the core's loop. A group is what one `generate` call gets: a single request where the engine batches
by itself, several where it takes batches (transformers). Groups are cut in the order of the requests, never by arrival, so
that their composition does not depend on timing: when they are full, at the end, or when the window is. Then their media are
digested and the journal is asked, some groups ahead. What it knows is settled; the rest of the group is made ready and answered,
groups side by side, and what came of one call goes to the journal as a whole, so that a run that goes on cuts as the one before
it. How many are under way is bounded by what keeps the engine busy, and by the bytes of their frames. An engine is opened when
there is something to ask.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from juicecap.errors import BugError, MediaError, SampleError
from juicecap.media.digest import FileState
from juicecap.media.picture import Picture, without_frames
from juicecap.media.remote import Fetched, fetch, rules_of
from juicecap.media.rules import MediaRules
from juicecap.sample import is_remote, shown_path
from juicecap.vlm.base import Abilities, Backend, Limits, ModelSettings, Outcome, Part, Prepared, Request
from juicecap.vlm.claims import Claims
from juicecap.vlm.frame_memory import FrameMemory, Share
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.entries import Look, entries_of, joined, medium_entry
from juicecap.vlm.journal.store import Entry
from juicecap.vlm.keys import Digest, Identified, Keyed, Keys
from juicecap.vlm.outcomes import failure_of
from juicecap.vlm.shared import Hold, Shared

if TYPE_CHECKING:
    from juicecap.media.pool import DecodePool

T = TypeVar("T")


FIRST, GROWTH = 4, 1.5
"""The first group is smaller by `FIRST`, and each one larger by `GROWTH` than the one before until they are full: so the engine
begins early, and the next group is ready when it ends."""

LOOKED_UP_AHEAD = 64
"""Requests that are digested and looked up before it is their turn; two groups, if that is more."""

OF_THE_CONTENT = {
    "DECODER_CRASHED", "DECODE_TIMEOUT", "NO_VIDEO_STREAM", "TOO_LARGE", "TOO_NARROW", "UNDECODABLE", "UNREADABLE",
}  # fmt: skip
"""Codes of media that cannot be used because of what is in them: it will be so on every day."""


class Resources(Protocol):
    """What a lane takes from the core."""

    async def identified(self, settings: ModelSettings, pin: str = "") -> Identified:
        """See `core.Core`."""

    async def engine(self, settings: ModelSettings) -> Backend:
        """See `core.Core`."""

    def pool(self, limits: Limits) -> DecodePool:
        """See `core.Core`."""

    def memory(self, limits: Limits) -> FrameMemory:
        """See `core.Core`."""

    def turns(self, settings: ModelSettings, calls: int) -> asyncio.Semaphore:
        """See `core.Core`."""

    async def states(self, paths: Collection[str], rules: MediaRules) -> dict[str, FileState | None]:
        """See `core.Core`."""

    async def digest(self, path: str, rules: MediaRules) -> tuple[str, FileState]:
        """See `core.Core`."""

    async def unchanged(self, path: str, state: FileState) -> bool:
        """See `core.Core`."""


@dataclass(frozen=True)
class Asked:
    """A request, whose it is, and who is to be told its outcome."""

    request: Request
    owner: object
    settle: Callable[[Outcome], None]


@dataclass(frozen=True)
class Stock:
    """What the lanes of a window have in common."""

    resources: Resources
    limits: Limits
    shared: Shared
    fail: Callable[[BaseException], None]
    journal: Journal | None


@dataclass
class Case:
    """A request that is looked up, and what came of it; without `keyed` its media cannot be read, and it is settled."""

    asked: Asked
    keyed: Keyed | None = None
    look: Look = field(default_factory=dict)


class Wanted(NamedTuple):
    """A request of which something is to be asked, and what is known of its outcome."""

    asked: Asked
    keyed: Keyed
    known: Outcome


class Unusable(Exception):
    """A medium of a request cannot be used."""

    def __init__(self, part: Part, error: MediaError) -> None:
        super().__init__(str(error))
        self.part, self.error = part, error


Enter = Callable[[list[Wanted]], Coroutine[Any, Any, None]]
"""Lets a group enter as soon as there is room."""


class Lane:
    """Requests of one window to one engine, in order."""

    def __init__(self, settings: ModelSettings, stock: Stock) -> None:
        self._settings, self._stock = settings, stock
        self._waiting: list[Asked] = []
        self._flushed = self._stopped = False
        self._urgent: object = None
        self._together: int | None = None  # not known before the engine is identified
        self._next = 0
        self._groups: asyncio.Queue[list[Asked]] = asyncio.Queue()
        self._claims = Claims()
        self._tasks: set[asyncio.Task[None]] = set()
        self._start(self._run())

    def add(self, asked: Asked) -> None:
        """Take a request; it comes behind all before it."""
        self._waiting.append(asked)
        self._flushed = False
        self._cut()

    def flush(self) -> None:
        """Let the last group go though it is not full."""
        self._flushed = True
        self._cut()

    def flush_for(self, owner: object) -> None:
        """Let the last group go if, or as soon as, it is known that a request of this owner waits in it."""
        self._urgent = owner
        self._cut()

    def stop(self) -> None:
        """Give up what is under way."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    def _cut(self) -> None:
        if self._together is None:
            return
        while len(self._waiting) >= self._next:
            self._send(self._next)
            self._next = min(math.ceil(GROWTH * self._next), self._together)
        if self._waiting and (self._flushed or any(asked.owner is self._urgent for asked in self._waiting)):
            self._send(len(self._waiting))

    def _send(self, count: int) -> None:
        self._groups.put_nowait(self._waiting[:count])
        del self._waiting[:count]

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._stopped:
            return
        if task.cancelled():
            self._stock.fail(BugError("a request was given up by nobody"))
        elif error := task.exception():
            self._stock.fail(error)  # whoever waits must hear of it, bugs included

    async def _run(self) -> None:
        """Let groups enter, in order; as soon as there is room for what is to be asked."""
        limits = self._stock.limits
        keys = await Keys.of(self._stock.resources, self._settings, limits, self._stock.journal)
        self._together = together = _together(keys.abilities, limits)
        self._next = together if limits.batch_size else math.ceil(together / FIRST)
        self._cut()
        ahead = asyncio.Semaphore(max(2, LOOKED_UP_AHEAD // together))
        looked_up: asyncio.Queue[tuple[list[Case], asyncio.Task[None]]] = asyncio.Queue()
        self._start(self._look_ahead(keys, looked_up, ahead))
        enter: Enter | None = None
        while True:
            group, reading = await looked_up.get()
            await reading
            wanted = await self._claimed(group)
            ahead.release()
            if wanted:
                enter = enter or await self._opened(together)
                await enter(wanted)

    async def _opened(self, together: int) -> Enter:
        """The door to the engine, which is opened now."""
        resources, limits = self._stock.resources, self._stock.limits
        engine = await resources.engine(self._settings)
        calls = _calls(engine.abilities(), limits, together)
        answering, memory = resources.turns(self._settings, calls), resources.memory(limits)
        under_way = asyncio.Semaphore(calls + _ahead(together, calls))

        async def enter(group: list[Wanted]) -> None:
            await under_way.acquire()
            share = await memory.share(len(group))
            served = self._start(self._serve(group, engine, share, answering))
            served.add_done_callback(lambda _: under_way.release())

        return enter

    async def _look_ahead(self, keys: Keys, looked_up: asyncio.Queue[Any], ahead: asyncio.Semaphore) -> None:
        """Look groups up: at once what can be without reading media, as many groups together as wait; and read media ahead."""
        while True:
            await ahead.acquire()
            groups = [await self._groups.get()]
            while not self._groups.empty() and not ahead.locked():
                await ahead.acquire()
                groups.append(self._groups.get_nowait())
            cases = [[Case(asked) for asked in group] for group in groups]
            recalled = await keys.recalled(asked.request for group in groups for asked in group)
            for case in itertools.chain.from_iterable(cases):
                if all(part.value in recalled for part in case.asked.request.media()):
                    self._meet(case, keys.key(case.asked.request, recalled))
            await self._look([case for case in itertools.chain.from_iterable(cases) if case.keyed])
            for group in cases:
                looked_up.put_nowait((group, self._start(self._read(group, keys, recalled))))

    async def _read(self, group: list[Case], keys: Keys, recalled: dict[str, Digest]) -> None:
        """Look up those of a group whose media must be read for that."""
        unknown = [case for case in group if not case.keyed]
        if unknown:
            with self._stock.shared.hold() as hold:
                await _all(self._digested(case, keys, recalled, hold) for case in unknown)
            await self._look([case for case in unknown if case.keyed])

    async def _digested(self, case: Case, keys: Keys, recalled: dict[str, Digest], hold: Hold) -> None:
        try:
            case.asked = await self._brought(case.asked, hold)
            self._meet(case, await keys.keyed(case.asked.request, recalled, hold))
        except SampleError as error:
            case.asked.settle(Outcome(failure=failure_of(error)))

    async def _brought(self, asked: Asked, hold: Hold) -> Asked:
        """The request with the media that lie elsewhere brought here; they stay as long as somebody can settle it."""
        rules = self._stock.limits.media
        addresses = [part.value for part in asked.request.media() if rules.allow_remote and is_remote(part.value)]
        if not addresses:
            return asked
        brought = [await hold.get(("brought", each), partial(fetch, each, rules)) for each in addresses]
        request = asked.request.with_media({each.url: each.path for each in brought})
        return Asked(request, asked.owner, partial(_told, asked.settle, brought))

    def _meet(self, case: Case, keyed: Keyed) -> None:
        case.keyed = keyed
        self._claims.meet(keyed.entry)

    async def _look(self, cases: list[Case]) -> None:
        journal = self._stock.journal
        keys = {key for case in cases if case.keyed for key in case.keyed.kept_under}
        if journal and keys:
            look = await asyncio.wrap_future(journal.look(list(keys)))
            for case in cases:
                case.look = look

    async def _claimed(self, group: list[Case]) -> list[Wanted]:
        """Settle what is known, and leave what others ask already to them: the rest is to be asked."""
        wanted: list[Wanted] = []
        for case in group:
            asked, keyed, candidates = case.asked, case.keyed, case.asked.request.candidates
            if keyed is None or self._claims.follow(keyed.entry, candidates, asked.settle):
                continue
            if self._claims.twice(keyed.entry):
                await self._look([case])
            known = keyed.known(case.look)
            if known.failure or len(known.answers) == candidates:
                self._count(replayed=candidates)
                self._settle(asked, keyed, known)
            else:
                self._claims.lead(keyed.entry, candidates)
                wanted.append(Wanted(asked, keyed, known))
        return wanted

    async def _serve(self, group: list[Wanted], engine: Backend, share: Share, answering: asyncio.Semaphore) -> None:
        """From requests to outcomes."""
        with share, self._stock.shared.hold() as hold:
            prepared = await _all(self._prepare(wanted, engine, hold) for wanted in group)
            ready: list[tuple[Wanted, Prepared]] = []
            for wanted, each in zip(group, prepared, strict=True):
                if isinstance(each, Prepared):
                    ready.append((wanted, each))
                else:
                    self._settle(wanted.asked, wanted.keyed, each)
            share.settle(_bytes(each for _, each in ready))
            if not ready:
                return
            async with answering:
                outcomes = await engine.generate([each for _, each in ready])
            self._answered(ready, outcomes)

    def _answered(self, ready: list[tuple[Wanted, Prepared]], outcomes: Iterable[Outcome]) -> None:
        """Write down what came of one call, all of it together, and hand it on."""
        entries: list[Entry] = []
        for (wanted, prepared), outcome in zip(ready, outcomes, strict=True):
            entries += entries_of(wanted.keyed.entry, prepared, outcome)
            self._count(replayed=prepared.first, asked=len(prepared.seeds))
        self._note(entries)
        for (wanted, _), outcome in zip(ready, outcomes, strict=True):
            self._settle(wanted.asked, wanted.keyed, joined(wanted.known, outcome))

    def _note(self, entries: list[Entry]) -> None:
        if self._stock.journal:
            self._stock.journal.note(entries)

    def _count(self, *, replayed: int, asked: int = 0) -> None:
        if journal := self._stock.journal:
            journal.replayed += replayed
            journal.asked += asked

    def _settle(self, asked: Asked, keyed: Keyed, outcome: Outcome) -> None:
        asked.settle(outcome)
        self._claims.settle(keyed.entry, asked.request.candidates, outcome)

    async def _prepare(self, wanted: Wanted, engine: Backend, hold: Hold) -> Prepared | Outcome:
        """Read the request's media."""
        request, keyed = wanted.asked.request, wanted.keyed
        unusable: Unusable | None = None
        pictures: list[Picture] = []
        try:
            pictures = await _all(self._picture(part, request, engine.abilities(), hold) for part in request.media())
        except Unusable as caught:
            unusable = caught.with_traceback(None)  # which would hold this frame, and with it what was brought here
        for path, state in keyed.states.items():
            if not await self._stock.resources.unchanged(path, state):
                error = MediaError("MEDIA_CHANGED", f"{shown_path(path)} was changed while it was read", retryable=True)
                return Outcome(failure=failure_of(error), seed=keyed.seed)
        if unusable:
            failure, path = failure_of(unusable.error), unusable.part.value
            if failure.code in OF_THE_CONTENT:
                self._note(medium_entry(keyed.media[unusable.part], path, failure))
            return Outcome(failure=failure, seed=keyed.seed)
        return Prepared(request=request, pictures=tuple(pictures), seed=keyed.seed, first=len(wanted.known.answers))

    async def _picture(self, part: Part, request: Request, abilities: Abilities, hold: Hold) -> Picture:
        pool, rules = self._stock.resources.pool(self._stock.limits), rules_of(part.value, self._stock.limits.media)
        try:
            if abilities.takes_files and part.kind == "video":
                info = await hold.get(("probe", part.value), partial(pool.probe, part.value, rules))
                return without_frames(info.duration)
            key = part, request.frames, abilities.sizes
            return await hold.get(key, partial(pool.picture, part.kind, part.value, request.frames, abilities.sizes, rules))
        except MediaError as error:
            raise Unusable(part, error) from error


def _told(settle: Callable[[Outcome], None], brought: Iterable[Fetched], outcome: Outcome) -> None:
    """Settle in words about addresses."""
    for each in brought:
        if outcome.failure:
            outcome = replace(outcome, failure=replace(outcome.failure, message=each.renamed(outcome.failure.message)))
    settle(outcome)


def _together(abilities: Abilities, limits: Limits) -> int:
    """Requests in a call."""
    if abilities.together == 1:
        return 1
    together = limits.batch_size or abilities.together
    return min(together, limits.in_flight or together)


def _calls(abilities: Abilities, limits: Limits, together: int) -> int:
    """Calls at once."""
    if not limits.in_flight:
        return abilities.calls
    if together == 1 and abilities.together == 1:
        return limits.in_flight
    return max(1, min(abilities.calls, limits.in_flight // together))


def _ahead(together: int, calls: int) -> int:
    """Groups that are made ready beyond those that the engine has."""
    return 1 if together > 1 else max(4, calls // 4)


def _bytes(prepared: Iterable[Prepared]) -> list[int]:
    """Bytes of each request's frames; a picture that several share counts once."""
    seen: set[int] = set()
    sizes = []
    for each in prepared:
        own = {id(picture): picture.pixels.nbytes for picture in each.pictures if id(picture) not in seen}
        seen |= own.keys()
        sizes.append(sum(own.values()))
    return sizes


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all; when one fails, the others are given up."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
