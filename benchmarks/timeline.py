"""When an engine was busy: intervals, the share of time between them, and a line that shows it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

BLOCKS = " ▁▂▃▄▅▆▇█"


class Timeline:
    """Collects when at least one piece of work was under way. Seconds of `time.perf_counter`."""

    def __init__(self) -> None:
        self.intervals: list[tuple[float, float]] = []

    @contextmanager
    def busy(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.intervals.append((began, time.perf_counter()))

    def watching(self, function: Callable) -> Callable:
        """`function`, noting when it runs."""

        def run(*arguments, **named):
            with self.busy():
                return function(*arguments, **named)

        return run

    def watching_async(self, function: Callable[..., Awaitable]) -> Callable[..., Awaitable]:
        """The coroutine function `function`, noting when it runs."""

        async def run(*arguments, **named):
            with self.busy():
                return await function(*arguments, **named)

        return run

    def merged(self, begin: float, end: float) -> list[tuple[float, float]]:
        """Busy stretches between two instants, without overlaps."""
        found: list[tuple[float, float]] = []
        for start, stop in ((max(start, begin), min(stop, end)) for start, stop in sorted(self.intervals)):
            if start >= stop:
                continue
            if found and start <= found[-1][1]:
                found[-1] = found[-1][0], max(found[-1][1], stop)
            else:
                found.append((start, stop))
        return found

    def idle(self, begin: float, end: float) -> float:
        """The share of the time between two instants at which nothing was under way."""
        return 1 - sum(stop - start for start, stop in self.merged(begin, end)) / (end - begin)

    def drawn(self, begin: float, end: float, width: int = 100) -> str:
        """One character for each `width`th part of the time: the fuller, the busier."""
        step, merged = (end - begin) / width, self.merged(begin, end)
        line = ""
        for index in range(width):
            left = begin + index * step
            share = sum(max(0.0, min(stop, left + step) - max(start, left)) for start, stop in merged) / step
            line += BLOCKS[round(min(1.0, share) * (len(BLOCKS) - 1))]
        return line
