"""What a run spends its time on: start-up, loading, ops, export. Spans are pairs of moments of `time.monotonic`.

What goes on side by side counts once. Start-up is everything before the ops but loading, and the opening of engines, which is
part of nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from juicecap.vlm.pipeline.resources.engine_stats import Span


@dataclass(frozen=True, kw_only=True)
class RunTimes:
    """Seconds of a run by what was done; the rest of its time is bookkeeping."""

    start_up: float = 0.0
    """From the command to the first op (libraries, checks), without loading; and the opening of engines."""
    loading: float = 0.0
    """Reading the dataset."""
    ops: float = 0.0
    """Applying ops, without the time in which engines were opened."""
    export: float = 0.0
    """Writing the outputs."""


class Stopwatch:
    """Measures a run. `began` is the moment of its command."""

    def __init__(self, began: float) -> None:
        self.began = began
        self._start_up: list[Span] = []
        self._openings: list[Callable[[], Iterable[Span]]] = []
        self._others: dict[str, list[Span]] = {"loading": [], "ops": [], "export": []}

    @property
    def start_up(self) -> list[Span]:
        """The spans of start-up until now."""
        return [*self._start_up, *(span for openings in self._openings for span in openings())]

    def watch(self, openings: Callable[[], Iterable[Span]]) -> None:
        """Count as start-up when engines are opened, which `openings` tells."""
        self._openings.append(openings)

    @contextmanager
    def starting_up(self) -> Iterator[None]:
        """A block of start-up."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._start_up.append((began, time.monotonic()))

    @contextmanager
    def measuring(self, what: str) -> Iterator[None]:
        """A block of `loading`, `ops` or `export`. What was before the first ops is start-up."""
        began = time.monotonic()
        if what == "ops" and not self._others[what]:
            self._start_up.append((self.began, began))
        try:
            yield
        finally:
            self._others[what].append((began, time.monotonic()))

    @property
    def seconds(self) -> float:
        """Since the command."""
        return time.monotonic() - self.began

    def times(self) -> RunTimes:
        """The times until now."""
        start_up, loading = self.start_up, self._others["loading"]
        ops, export = (outside(self._others[what], start_up) for what in ("ops", "export"))
        return RunTimes(start_up=outside(start_up, loading), loading=together(loading), ops=ops, export=export)


def together(spans: Iterable[Span]) -> float:
    """Seconds that are in any of the spans."""
    total, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total


def outside(spans: Iterable[Span], others: Iterable[Span]) -> float:
    """Seconds that are in any of the spans, and in none of the others."""
    others = list(others)
    return together([*spans, *others]) - together(others)
