"""The way of requests to one engine: cut into groups, their media digested and decoded ahead, answered.

Everything here runs on the core's loop. A group is what one `generate` call gets: a single request where the engine batches
by itself, several where it takes batches (transformers). Groups are cut in the order of the requests, never by arrival, so
that their composition does not depend on timing: when they are full, at the end, or when the window is. Then they are made
ready and answered side by side. How many are under way is bounded by what keeps the engine busy, and by the bytes of their
frames.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from juicecap.errors import BugError, MediaError, SampleError
from juicecap.media.digest import FileState
from juicecap.media.picture import Picture, without_frames
from juicecap.vlm.base import Abilities, Backend, Limits, ModelSettings, Outcome, Part, Prepared, Request
from juicecap.vlm.frame_memory import FrameMemory, Share
from juicecap.vlm.outcomes import failure_of
from juicecap.vlm.shared import Hold, Shared

if TYPE_CHECKING:
    from juicecap.media.pool import DecodePool

T = TypeVar("T")


FIRST, GROWTH = 4, 1.5
"""The first group is smaller by `FIRST`, and each one larger by `GROWTH` than the one before until they are full: so the engine
begins early, and the next group is ready when it ends."""


class Resources(Protocol):
    """What a lane takes from the core."""

    async def engine(self, settings: ModelSettings) -> Backend:
        """See `core.Core`."""

    def pool(self, limits: Limits) -> DecodePool:
        """See `core.Core`."""

    def memory(self, limits: Limits) -> FrameMemory:
        """See `core.Core`."""

    def turns(self, settings: ModelSettings, calls: int) -> asyncio.Semaphore:
        """See `core.Core`."""

    async def digest(self, path: str) -> tuple[str, FileState]:
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


class Lane:
    """Requests of one window to one engine, in order."""

    def __init__(self, settings: ModelSettings, stock: Stock) -> None:
        self._settings, self._stock = settings, stock
        self._waiting: list[Asked] = []
        self._flushed = self._stopped = False
        self._urgent: object = None
        self._together: int | None = None  # not known before the engine is open
        self._next = 0
        self._groups: asyncio.Queue[list[Asked]] = asyncio.Queue()
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
        """Let groups enter, in order, as soon as there is room for them."""
        resources, limits = self._stock.resources, self._stock.limits
        engine = await resources.engine(self._settings)
        abilities = engine.abilities()
        self._together, calls = _shape(abilities, limits)
        self._next = self._together if limits.batch_size else math.ceil(self._together / FIRST)
        self._cut()
        answering, memory = resources.turns(self._settings, calls), resources.memory(limits)
        under_way = asyncio.Semaphore(calls + _ahead(self._together, calls))
        while True:
            group = await self._groups.get()
            await under_way.acquire()
            share = await memory.share(len(group))
            served = self._start(self._serve(group, engine, share, answering))
            served.add_done_callback(lambda _: under_way.release())

    async def _serve(self, group: list[Asked], engine: Backend, share: Share, answering: asyncio.Semaphore) -> None:
        """From requests to outcomes."""
        with share, self._stock.shared.hold() as hold:
            prepared = await _all(self._prepare(asked.request, engine, hold) for asked in group)
            ready: list[tuple[Asked, Prepared]] = []
            for asked, each in zip(group, prepared, strict=True):
                if isinstance(each, Prepared):
                    ready.append((asked, each))
                else:
                    asked.settle(each)
            share.settle(_bytes(each for _, each in ready))
            if not ready:
                return
            async with answering:
                outcomes = await engine.generate([each for _, each in ready])
            for (asked, _), outcome in zip(ready, outcomes, strict=True):
                asked.settle(outcome)

    async def _prepare(self, request: Request, engine: Backend, hold: Hold) -> Prepared | Outcome:
        """Digest and read the request's media."""
        media, resources = request.media(), self._stock.resources
        try:
            facts = {part.value: await hold.get(part.value, partial(resources.digest, part.value)) for part in media}
            pictures = await _all(self._picture(part, request, engine.abilities(), hold) for part in media)
            for path, (_, state) in facts.items():
                if not await resources.unchanged(path, state):
                    raise MediaError("MEDIA_CHANGED", f"{path} was changed while it was read", retryable=True)
        except SampleError as error:
            return Outcome(failure=failure_of(error))
        digests = {path: digest for path, (digest, _) in facts.items()}
        seed = request.derived_seed(request.key(digests, engine.identity()))
        return Prepared(request=request, pictures=tuple(pictures), seed=seed)

    async def _picture(self, part: Part, request: Request, abilities: Abilities, hold: Hold) -> Picture:
        pool = self._stock.resources.pool(self._stock.limits)
        if abilities.takes_files and part.kind == "video":
            info = await hold.get(("probe", part.value), partial(pool.probe, part.value))
            return without_frames(info.duration)
        key = part, request.frames, abilities.sizes
        return await hold.get(key, partial(pool.picture, part.kind, part.value, request.frames, abilities.sizes))


def _shape(abilities: Abilities, limits: Limits) -> tuple[int, int]:
    """Requests in a call, and calls at once."""
    if abilities.together == 1:
        return 1, limits.in_flight or abilities.calls
    together = limits.batch_size or abilities.together
    if not limits.in_flight:
        return together, abilities.calls
    together = min(together, limits.in_flight)
    return together, max(1, min(abilities.calls, limits.in_flight // together))


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
