"""What a run spends its time on: start-up, loading, ops, export. Spans are pairs of moments of `time.monotonic`.

What goes on side by side counts once, and what belongs to start-up belongs to nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from juicecap.vlm.pipeline.resources.engine_stats import Span

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RunTimes:
    """Seconds of a run by what was done; the rest of its time is bookkeeping."""

    start_up: float = 0.0
    """From the command to the dataset (libraries, checks), and until engines were open."""
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
        self._start_up: list[Span] = [(began, time.monotonic())]
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
    def entering(self, manager: AbstractContextManager[T]) -> Iterator[T]:
        """The block of a context manager whose beginning is start-up."""
        with ExitStack() as stack:
            with self.starting_up():
                given = stack.enter_context(manager)
            yield given

    @contextmanager
    def measuring(self, what: str) -> Iterator[None]:
        """A block of `loading`, `ops` or `export`."""
        began = time.monotonic()
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
        start_up = self.start_up
        return RunTimes(start_up=together(start_up), **{what: outside(spans, start_up) for what, spans in self._others.items()})


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
