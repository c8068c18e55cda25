"""The way of requests to one engine: cut into groups, their media digested and decoded ahead, answered.

Everything here runs on the core's loop. A group is what one `generate` call gets: a single request where the engine batches
by itself, several where it takes batches (transformers). Groups are cut in the order of the requests, never by arrival, so
that their composition does not depend on timing; then they are made ready and answered side by side. How many are under way
is bounded by what keeps the engine busy, and by the bytes of their frames.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from juicecap.errors import SampleError
from juicecap.media.picture import Picture, without_frames
from juicecap.vlm.base import Abilities, Backend, Failure, Limits, ModelSettings, Outcome, Part, Prepared, Request
from juicecap.vlm.frame_memory import FrameMemory, Share
from juicecap.vlm.shared import Hold, Shared

if TYPE_CHECKING:
    from juicecap.media.pool import DecodePool


class Resources(Protocol):
    """What a lane takes from the core."""

    async def engine(self, settings: ModelSettings) -> Backend:
        """See `core.Core`."""

    def pool(self, limits: Limits) -> DecodePool:
        """See `core.Core`."""

    async def digest(self, path: str) -> str:
        """See `core.Core`."""


@dataclass(frozen=True)
class Asked:
    """A request, and who is to be told its outcome."""

    request: Request
    settle: Callable[[Outcome], None]


@dataclass(frozen=True)
class Stock:
    """What the lanes of a window have in common."""

    resources: Resources
    limits: Limits
    memory: FrameMemory
    shared: Shared
    fail: Callable[[BaseException], None]


class Lane:
    """Requests of one window to one engine, in order."""

    def __init__(self, settings: ModelSettings, stock: Stock) -> None:
        self._settings, self._stock = settings, stock
        self._waiting: list[Asked] = []
        self._flushed = False
        self._together: int | None = None  # not known before the engine is open
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

    def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()

    def _cut(self) -> None:
        if self._together is None:
            return
        while len(self._waiting) >= self._together or (self._flushed and self._waiting):
            self._groups.put_nowait(self._waiting[: self._together])
            del self._waiting[: self._together]

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._stock.fail(error)  # whoever waits must hear of it, bugs included

    async def _run(self) -> None:
        """Let groups enter, in order, as soon as there is room for them."""
        engine = await self._stock.resources.engine(self._settings)
        abilities = engine.abilities()
        self._together, calls = _shape(abilities, self._stock.limits)
        self._cut()
        answering = asyncio.Semaphore(calls)
        under_way = asyncio.Semaphore(calls + _ahead(self._together, calls))
        while True:
            group = await self._groups.get()
            await under_way.acquire()
            share = await self._stock.memory.share(len(group))
            served = self._start(self._serve(group, engine, share, answering))
            served.add_done_callback(lambda _: under_way.release())

    async def _serve(self, group: list[Asked], engine: Backend, share: Share, answering: asyncio.Semaphore) -> None:
        """From requests to outcomes."""
        with share, self._stock.shared.hold() as hold:
            prepared = await asyncio.gather(*(self._prepare(asked.request, engine, hold) for asked in group))
            ready: list[tuple[Asked, Prepared]] = []
            for asked, each in zip(group, prepared, strict=True):
                if isinstance(each, Prepared):
                    ready.append((asked, each))
                else:
                    asked.settle(each)
            share.settle(sum(picture.pixels.nbytes for _, each in ready for picture in each.pictures))
            if not ready:
                return
            async with answering:
                outcomes = await engine.generate([each for _, each in ready])
            for (asked, _), outcome in zip(ready, outcomes, strict=True):
                asked.settle(outcome)

    async def _prepare(self, request: Request, engine: Backend, hold: Hold) -> Prepared | Outcome:
        """Digest and read the request's media."""
        media = request.media()
        try:
            digest = self._stock.resources.digest
            digests = {part.value: await hold.get(part.value, partial(digest, part.value)) for part in media}
            pictures = await asyncio.gather(*(self._picture(part, request, engine.abilities(), hold) for part in media))
        except SampleError as error:
            return Outcome(failure=Failure(code=error.code, message=error.message, retryable=error.retryable))
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
    if limits.in_flight:
        together = min(together, limits.in_flight)
    return together, abilities.calls


def _ahead(together: int, calls: int) -> int:
    """Groups that are made ready beyond those that the engine has."""
    return 1 if together > 1 else max(4, calls // 4)
