"""Measurements that are being made, so that none is made twice at the same time, and what was measured last."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from juicecap.vlm.base import Outcome

MOST_REMEMBERED = 4096
"""Outcomes that are kept in memory."""

Settle = Callable[[Outcome], None]


class Claims:
    """The measurements of a window that are being looked up or made, by the journal's key."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Settle]] = {}

    def claim(self, key: str, settle: Settle) -> bool:
        """Take a measurement on, up to `settle`; if another has it already, join that one and return false."""
        waiting = self._waiting.setdefault(key, [])
        waiting.append(settle)
        return len(waiting) == 1

    def settle(self, key: str, outcome: Outcome) -> None:
        """Pass the outcome to all that wait for it."""
        for settle in self._waiting.pop(key):
            settle(outcome)


class _Recent(NamedTuple):
    outcome: Outcome
    claims: Claims
    seen: int


class RecentOutcomes:
    """The last outcomes of measurements that are known by the state of files: a header is read once, whatever ops need it."""

    def __init__(self) -> None:
        self._kept: dict[str, _Recent] = {}

    def get(self, key: str, claims: Claims, stays_good: Callable[[int], bool]) -> Outcome | None:
        """The outcome, if it is of the same window, or if a value of then is still good."""
        found = self._kept.get(key)
        return found.outcome if found and (found.claims is claims or stays_good(found.seen)) else None

    def keep(self, key: str, claims: Claims, outcome: Outcome, seen: int) -> None:
        """Keep an outcome in the place of the oldest one."""
        self._kept[key] = _Recent(outcome, claims, seen)
        if len(self._kept) > MOST_REMEMBERED:
            del self._kept[next(iter(self._kept))]
