"""Turns at the workers: who needs one most is the next, and what takes long leaves one of them free."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

Need = tuple[int, ...]
"""How much a job is needed: the smallest goes first, and of equal ones the earliest."""

FOR_ENGINE: Need = (0,)
"""Frames that an engine is going to be shown."""


class Turns:
    """Turns at `most` workers. It belongs to one event loop."""

    def __init__(self, most: int) -> None:
        self._free, self._free_for_long = most, max(1, most - 1)
        self._waiting: list[tuple[Need, int, asyncio.Future[None]]] = []
        self._long: list[tuple[Need, int, asyncio.Future[None]]] = []
        self._count = itertools.count()

    @asynccontextmanager
    async def turn(self, need: Need, *, long: bool = False) -> AsyncIterator[None]:
        """A block for one job at a worker."""
        granted = asyncio.get_running_loop().create_future()
        heapq.heappush(self._long if long else self._waiting, (need, next(self._count), granted))
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if not granted.cancelled():
                self._leave(long=long)
            raise
        try:
            yield
        finally:
            self._leave(long=long)

    def _leave(self, *, long: bool) -> None:
        self._free += 1
        self._free_for_long += long
        self._grant()

    def _grant(self) -> None:
        while self._free and (first := self._first()):
            _, _, granted = heapq.heappop(first)
            if granted.cancelled():
                continue
            self._free -= 1
            self._free_for_long -= first is self._long
            granted.set_result(None)

    def _first(self) -> list[tuple[Need, int, asyncio.Future[None]]]:
        """The queue whose first job is the next; an empty one if there is none."""
        if not self._long or not self._free_for_long:
            return self._waiting
        return min(self._long, self._waiting or self._long, key=lambda queue: queue[0][:2])
