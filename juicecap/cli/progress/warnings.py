"""Warnings of a run, each shown once: a million samples with the same problem give one line. `log.jsonl` has them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from juicecap.hidden import NOTHING, Hidden

if TYPE_CHECKING:
    from loguru import Message, Record

MOST_OF_A_KIND = 10
"""Warnings from one place in the code that are shown at most, whatever their texts."""

MOST_REMEMBERED = 10_000


class Warnings:
    """A sink for loguru that passes new warnings to `tell`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: set[str] = set()
        self._of_a_kind: Counter[tuple[str | None, int]] = Counter()

    def __call__(self, message: Message, hidden: Hidden = NOTHING) -> None:
        """Take a log record; `hidden` removes what must not be shown."""
        record, text = message.record, hidden.text(message.record["message"])
        if text in self._told:
            return
        if len(self._told) < MOST_REMEMBERED:
            self._told.add(text)
        kind = record["name"], record["line"]
        if kind[0] == "juicecap.notice":  # which itself logs each message once
            self._tell(text)
            return
        self._of_a_kind[kind] += 1
        if self._of_a_kind[kind] <= MOST_OF_A_KIND:
            self._tell(text)
        elif self._of_a_kind[kind] == MOST_OF_A_KIND + 1:
            self._tell("more warnings of this kind are in log.jsonl")


def not_an_error(record: Record) -> bool:
    """Errors end the run and are shown at its end."""
    return record["level"].name != "ERROR"
