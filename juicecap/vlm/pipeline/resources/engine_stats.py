"""Statistics of an op's requests: counted where batches are looked up and served, and read from any thread.

For the figures of a period of time take two snapshots.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from juicecap.vlm.base import Outcome
from juicecap.vlm.pipeline.resources.answer_counts import Amounts, AnswerCounts

Span = tuple[float, float]
"""Two moments of `time.monotonic`."""

AnsweredBy = Mapping[tuple[str, str], int]
"""How many answers an engine gave (`Answer.engine`) with a revision of its model. An answer that several samples share
counts in each of them."""


@dataclass(frozen=True, kw_only=True)
class StatsSnapshot:
    """The statistics at one moment. All but `in_flight` only grow."""

    in_flight: int = 0
    """Requests that engines are working on."""
    answers: AnswerCounts = field(default_factory=AnswerCounts)
    """Where answers came from."""
    measured: int = 0
    """Measurements that were made."""
    measured_before: int = 0
    """Measurements that were known."""
    busy_seconds: float = 0.0
    """Seconds during which an engine had requests."""


class EngineStats:
    """Counts calls of engines, and answers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = self._calls = 0
        self._answers = asdict(AnswerCounts())
        self._measured = self._measured_before = 0
        self._busy = self._busy_since = 0.0
        self._openings: list[Span] = []
        self._opening_since: list[float] = []
        self._answered_by = Counter[tuple[str, str]]()

    @contextmanager
    def call(self, requests: int) -> Iterator[None]:
        """A block for one call of an engine with this many requests."""
        with self._lock:
            if not self._calls:
                self._busy_since = time.monotonic()
            self._calls += 1
            self._in_flight += requests
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                self._in_flight -= requests
                if not self._calls:
                    self._busy += time.monotonic() - self._busy_since

    @contextmanager
    def opening(self) -> Iterator[None]:
        """A block in which an engine is opened."""
        since = time.monotonic()
        with self._lock:
            self._opening_since.append(since)
        try:
            yield
        finally:
            with self._lock:
                self._opening_since.remove(since)
                self._openings.append((since, time.monotonic()))

    def used(self, outcomes: Sequence[Outcome]) -> None:
        """Count whose answers these are, whether they were known or not."""
        with self._lock:
            for outcome in outcomes:
                self._answered_by.update((answer.engine, outcome.revision) for answer in outcome.answers)

    def answered_by(self) -> AnsweredBy:
        """Whose answers were used."""
        with self._lock:
            return dict(self._answered_by)

    def openings(self) -> list[Span]:
        """When engines were opened, up to now."""
        with self._lock:
            return [*self._openings, *((since, time.monotonic()) for since in self._opening_since)]

    def count(self, amounts: Amounts) -> None:
        """Count answers and their tokens."""
        with self._lock:
            for name, amount in amounts.items():
                self._answers[name] += amount

    def count_measured(self, *, made: int = 0, known: int = 0) -> None:
        """Count measurements that were made, and those that were known."""
        with self._lock:
            self._measured += made
            self._measured_before += known

    def read(self) -> StatsSnapshot:
        """The statistics of this moment."""
        with self._lock:
            running = time.monotonic() - self._busy_since if self._calls else 0.0
            return StatsSnapshot(
                in_flight=self._in_flight,
                answers=AnswerCounts(**self._answers),
                measured=self._measured,
                measured_before=self._measured_before,
                busy_seconds=self._busy + running,
            )
