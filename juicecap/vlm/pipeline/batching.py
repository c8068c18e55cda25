"""Batches: which requests an engine gets in one `generate` call, and how many calls are concurrent.

A batch is a single request if the engine batches by itself, and several if it takes batches (transformers). Batches are cut in
the order of the requests, never by arrival, so that their composition does not depend on timing: when they are full, at the end
of their queue, or when nothing else goes on (`window.py`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from juicecap.vlm.base import Capabilities, Limits, Outcome, Request

FIRST, GROWTH = 4, 1.5
"""The size of the first batch is divided by `FIRST`, and each next one is larger by the factor `GROWTH`, until
they are full: so the engine starts early, and the next batch is ready when it ends."""


@dataclass(frozen=True)
class QueuedRequest:
    """A request, and the callback for its outcome."""

    request: Request
    settle: Callable[[Outcome], None]


class Batcher:
    """Takes requests, and puts batches of them into `batches`, but none before `begin`."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[list[QueuedRequest]] = asyncio.Queue()
        self._waiting: list[QueuedRequest] = []
        self._flushed = False
        self._size: int | None = None  # not known before the engine is described
        self._next = 0

    @property
    def waiting(self) -> int:
        """Requests that wait for others to fill their batch."""
        return 0 if self._size is None else len(self._waiting)

    def begin(self, size: int, *, grow: bool) -> None:
        """Cut batches of this size; with `grow` the first ones are smaller."""
        self._size = size
        self._next = math.ceil(size / FIRST) if grow else size
        self._cut()

    def add(self, asked: QueuedRequest) -> None:
        """Take a request, after all earlier ones."""
        self._waiting.append(asked)
        self._flushed = False
        self._cut()

    def flush(self) -> None:
        """Release the last batch although it is not full."""
        self._flushed = True
        self._cut()

    def _cut(self) -> None:
        if self._size is None:
            return
        while len(self._waiting) >= self._next:
            self._send(self._next)
            self._next = min(math.ceil(GROWTH * self._next), self._size)
        if self._waiting and self._flushed:
            self._send(len(self._waiting))

    def _send(self, count: int) -> None:
        self.batches.put_nowait(self._waiting[:count])
        del self._waiting[:count]


def batch_size(capabilities: Capabilities, limits: Limits) -> int:
    """Requests in a call."""
    if capabilities.batch_size == 1:
        return 1
    size = limits.batch_size or capabilities.batch_size
    return min(size, limits.in_flight or size)


def calls_at_once(most: int, capabilities: Capabilities, limits: Limits, size: int) -> int:
    """Concurrent calls, with batches of this size, of an engine that `most` of them keep busy."""
    if not limits.in_flight:
        return most
    if size == 1 and capabilities.batch_size == 1:
        return limits.in_flight * capabilities.servers
    return max(1, min(most, limits.in_flight // size))


def batches_ahead(size: int, calls: int) -> int:
    """Batches that are prepared in advance, besides those at the engine."""
    return 1 if size > 1 else max(4, calls // 4)
