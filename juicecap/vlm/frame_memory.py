"""How many bytes of decoded frames are in memory at once, whatever the clips.

How large a clip's frames are is known only when they are there. Until then as much is set aside for it as the largest of the
clips before it took, so that the limit is overstepped by a few clips at most; and a clip that is larger than the limit is let
in when it is alone.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from juicecap.vlm.base import Limits

PART_OF_MACHINE = 8
"""The default limit is the machine's memory (or the container's) divided by this."""

FIRST_GUESS = 8
"""As long as no clip has been decoded, each is taken to need the limit divided by this."""

FORGETTING = 0.98
"""By what factor the largest clip so far counts less with each request, so that one giant is forgotten in time."""


class FrameMemory:
    """Hands out shares of the limit, in the order in which they are asked for."""

    def __init__(self, limits: Limits) -> None:
        self.limit = limits.frame_bytes or machine_memory() // PART_OF_MACHINE
        self.expected = self.limit / FIRST_GUESS
        """Bytes that the frames of one more request are taken to need."""
        self.held = 0.0
        self._door = asyncio.Lock()
        self._freed = asyncio.Event()
        self._known = False

    async def share(self, requests: int) -> Share:
        """Wait until there is room for the frames of so many requests."""
        async with self._door:
            while self.held and self.held + requests * self.expected > self.limit:
                self._freed.clear()
                await self._freed.wait()
            return Share(self, requests, requests * self.expected)

    def learn(self, per_request: float) -> None:
        """Take note of what a request's frames needed."""
        self.expected = max(per_request, FORGETTING * self.expected) if self._known else per_request
        self._known = True

    def change(self, by: float) -> None:
        """More or less is held than before."""
        self.held += by
        if by < 0:
            self._freed.set()


class Share:
    """What is set aside for a group of requests; leaving its context frees it."""

    def __init__(self, memory: FrameMemory, requests: int, size: float) -> None:
        self._memory, self._requests, self._size = memory, requests, size
        memory.change(size)

    def settle(self, size: int) -> None:
        """The frames are there, and this is what they need."""
        self._memory.learn(size / self._requests)
        self._memory.change(size - self._size)
        self._size = size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._memory.change(-self._size)


def machine_memory(group: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes of memory that this process may use: the machine's, or those of its control group (Linux, version 2)."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(whole, int(group.read_text()))
    except (OSError, ValueError):  # no control groups, or `max`
        return whole
