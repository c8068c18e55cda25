"""Which engine answers which request, and what happens when an engine dies.

A request goes to the engine that has the fewest. When an engine dies, it is started again, and the requests that it had are
its suspects: they are asked again one at a time, each with the engine to itself, while new requests go to other engines or
wait. So a second death names its culprit, and no neighbour suffers for it. If the engine goes on dying without an answer in
between, the culprit may be the engine itself: such requests may be asked on another day. One that dies eight times like that is
given up, and the run with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from juicecap.errors import EnvironmentFailure, SampleError
from juicecap.vlm.backends.vllm.engine_process import EngineDied, EngineProcess

T = TypeVar("T")

DEATHS = 8
"""So many deaths in a row, without an answer in between, and an engine is given up."""

CERTAIN = 2
"""So many deaths in a row, and it is certain which request is to blame; with more it may be the engine itself."""


class EnginePool:
    """Engines that are all alike. `start` starts the one with a number."""

    def __init__(self, start: Callable[[int], Awaitable[EngineProcess]], size: int) -> None:
        self._start = start
        self._berths = [_EngineSlot(number) for number in range(size)]
        self._changed = asyncio.Event()
        self._closed = False

    async def open(self) -> int:
        """Start all engines, one after the other: their number of slots (sequences at once), all together.

        Raises:
            EnvironmentFailure: an engine cannot be started.
        """
        slots = 0
        for berth in self._berths:
            berth.engine = await self._start(berth.number)
            slots += berth.engine.slots
        return slots

    async def close(self) -> None:
        """Stop all engines. Requests that are under way fail."""
        self._closed = True
        self._tell()
        for berth in self._berths:
            if berth.reviving:
                berth.reviving.cancel()
        await asyncio.gather(*(berth.engine.stop() for berth in self._berths if berth.engine))

    async def ask(self, work: Callable[[EngineProcess], Awaitable[T]]) -> T:
        """What `work` makes of an engine.

        Raises:
            SampleError: whatever `work` raises, and `ENGINE_POISON`.
            EnvironmentFailure: an engine was given up.
        """
        berth = await self._free_berth()
        engine = berth.engine
        assert engine is not None
        berth.busy += 1
        try:
            result = await work(engine)
        except EngineDied:
            berth.suspects += 1
            self._mark_dead(berth, engine)
        else:
            berth.deaths = 0
            return result
        finally:
            berth.busy -= 1
        try:
            async with berth.alone:
                return await self._ask_alone(berth, work)
        finally:
            berth.suspects -= 1
            self._tell()

    async def _ask_alone(self, berth: _EngineSlot, work: Callable[[EngineProcess], Awaitable[T]]) -> T:
        while berth.engine is None:
            await self._wait()
        engine = berth.engine
        try:
            result = await work(engine)
        except EngineDied:
            cause = engine.cause_of_death()
            self._mark_dead(berth, engine)
            text = f"vLLM's engine died twice over this sample: {cause}"
            raise SampleError("ENGINE_POISON", text, retryable=berth.deaths > CERTAIN, attempts=2) from None
        berth.deaths = 0
        return result

    async def _free_berth(self) -> _EngineSlot:
        while True:
            free = [berth for berth in self._berths if berth.engine and not berth.suspects]
            if free and not self._closed:
                return min(free, key=lambda berth: berth.busy)
            await self._wait()

    def _mark_dead(self, berth: _EngineSlot, engine: EngineProcess) -> None:
        """Many requests notice one death; the first one has the engine replaced."""
        if berth.engine is not engine:
            return
        berth.engine = None
        if self._closed:
            return
        berth.deaths += 1
        berth.reviving = asyncio.ensure_future(self._restart(berth, engine))

    async def _restart(self, berth: _EngineSlot, dead: EngineProcess) -> None:
        cause = dead.cause_of_death()
        await dead.stop()
        if berth.deaths >= DEATHS:
            berth.failure = f"vLLM's engine died {DEATHS} times without an answer in between: {cause}"
        else:
            try:
                berth.engine = await self._start(berth.number)
            except EnvironmentFailure as error:
                berth.failure = f"{error} (it died before: {cause})"
        self._tell()

    async def _wait(self) -> None:
        """Until something has changed.

        Raises:
            EnvironmentFailure: for the worse.
        """
        failure = next((berth.failure for berth in self._berths if berth.failure), None)
        if failure:
            raise EnvironmentFailure(failure)
        if self._closed:
            raise EnvironmentFailure("vLLM's engine was closed while it had requests")
        await self._changed.wait()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class _EngineSlot:
    """The place of one engine, which stays when an engine dies and the next one takes it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.engine: EngineProcess | None = None
        self.busy = 0
        self.suspects = 0
        """Requests that a death met and that have not been asked again."""
        self.deaths = 0
        """In a row, without an answer in between."""
        self.alone = asyncio.Lock()
        self.reviving: asyncio.Future[None] | None = None
        self.failure: str | None = None
        """Why the engine was given up."""
