"""Limits the bytes of decoded frames in memory, whatever the clips.

The size of a request's frames is known only when they are decoded. Until then it is assumed to be that of the largest one before,
and only a few requests of unknown size are admitted. So the limit is exceeded by those few at most. A request that is larger than
the limit is admitted when it is alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PART_OF_MACHINE = 8
"""The default limit is the machine's memory (or the container's) divided by this."""

FIRST_GUESS = 8
"""Until the first frames are decoded, a request is assumed to need the limit divided by this."""

MOST_UNKNOWN = 64
"""Requests of unknown size that may be admitted at once; or one batch, if it is larger."""

UNTOLD = 2**32
"""Bytes that a machine is assumed to have if the system does not report its memory."""

DECAY = 0.98
"""The factor by which the largest size so far decays with each further request, so that an outlier is forgotten in time."""


class FrameBudget:
    """Gives out shares of a limit (bytes), in the order of the requests."""

    def __init__(self, limit: int | None = None, *, part: int = 1) -> None:
        """`part`: how many sites have to share the machine's memory, if no limit is set."""
        self.limit = limit or machine_memory() // PART_OF_MACHINE // part
        self.expected = self.limit // FIRST_GUESS
        """Bytes that the frames of one more request are assumed to need."""
        self._inside: set[Reservation] = set()
        self._door = asyncio.Lock()
        self._changed = asyncio.Event()
        self._seen = False

    @property
    def held(self) -> int:
        """Bytes of all reservations, known or expected."""
        return sum(share.requests * self.expected if share.size is None else share.size for share in self._inside)

    async def share(self, requests: int) -> Reservation:
        """Wait until there is room for the frames of this many requests."""
        async with self._door:
            while not self._has_room(requests):
                self._changed.clear()
                await self._changed.wait()
            share = Reservation(self, requests)
            self._inside.add(share)
            return share

    def _has_room(self, requests: int) -> bool:
        if not self._inside:
            return True
        unknown = sum(share.requests for share in self._inside if share.size is None)
        fits = self.held + requests * self.expected <= self.limit
        return fits and (not unknown or unknown + requests <= MOST_UNKNOWN)

    def settled(self, sizes: Sequence[int]) -> None:
        """Record the sizes of the frames of requests; those without frames are ignored."""
        for size in filter(None, sizes):
            self.expected = max(size, int(DECAY * self.expected)) if self._seen else size
            self._seen = True
        self._changed.set()

    def left(self, share: Reservation) -> None:
        """A share is free again."""
        self._inside.discard(share)
        self._changed.set()


class Reservation:
    """The memory reserved for a batch of requests; leaving its context frees it."""

    def __init__(self, memory: FrameBudget, requests: int) -> None:
        self._memory, self.requests = memory, requests
        self.size: int | None = None
        """Bytes, once they are known."""

    def settle(self, sizes: Sequence[int]) -> None:
        """Set the sizes, now that the frames are decoded."""
        self.size = sum(sizes)
        self._memory.settled(sizes)

    def free(self) -> None:
        """Free the memory."""
        self._memory.left(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.free()


def machine_memory(group: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Bytes of memory that this process may use: the machine's, or those of its control group (Linux, version 2)."""
    pages = os.sysconf("SC_PHYS_PAGES")  # some systems look into /proc for them, and say -1 where there is none
    whole = os.sysconf("SC_PAGE_SIZE") * pages if pages > 0 else UNTOLD
    try:
        return min(whole, int(group.read_text()))
    except (OSError, ValueError):  # no control groups, or `max`
        return whole
