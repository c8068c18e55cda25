"""Warnings of a run, each told once: a million samples that meet the same trouble are one line, and `log.jsonl` has them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from juicecap.hidden import NOTHING, Hidden

if TYPE_CHECKING:
    from loguru import Message, Record

MOST_OF_A_KIND = 10
"""Warnings of one place in the code that are told, whatever their words."""

MOST_REMEMBERED = 10_000


class Warnings:
    """A sink for loguru that hands on what is new to `tell`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: set[str] = set()
        self._of_a_kind: Counter[tuple[str | None, int]] = Counter()

    def __call__(self, message: Message, hidden: Hidden = NOTHING) -> None:
        """Take a log record; `hidden` takes out what must not be shown."""
        record, text = message.record, hidden.text(message.record["message"])
        if text in self._told:
            return
        if len(self._told) < MOST_REMEMBERED:
            self._told.add(text)
        kind = record["name"], record["line"]
        if kind[0] == "juicecap.notice":  # which itself says things once
            self._tell(text)
            return
        self._of_a_kind[kind] += 1
        if self._of_a_kind[kind] <= MOST_OF_A_KIND:
            self._tell(text)
        elif self._of_a_kind[kind] == MOST_OF_A_KIND + 1:
            self._tell("more warnings of this kind are in log.jsonl")


def not_an_error(record: Record) -> bool:
    """Errors end the run and are told at its end."""
    return record["level"].name != "ERROR"
