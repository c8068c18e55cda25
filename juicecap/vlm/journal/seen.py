"""Which answers a run has met already, so that one that many samples share is counted once as asked or replayed."""

from __future__ import annotations

from array import array

_FIRST_SLOTS = 1024
"""A power of two, as are all later numbers of slots."""

_KEPT_DIGITS = 16
"""Last hexadecimal digits of a key that are kept. Two of a million answers are taken for one with a probability of 1 to
30 million."""

_CANDIDATES = 0x9E3779B97F4A7C15
"""Spreads candidates of one key over all numbers: 2**64 divided by the golden ratio."""


class SeenAnswers:
    """A set of answers, in 12 to 24 bytes each: a table of numbers in which the next free place is taken (linear probing).

    A Python set would need five times as much, and memory must not grow with the number of samples. Used by one thread.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST_SLOTS))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: str, candidate: int) -> bool:
        """Add a candidate's answer to the request with this key; whether it is new."""
        number = _number(key, candidate)
        place = self._place(number)
        if self._slots[place]:
            return False
        self._slots[place] = number
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._grow()
        return True

    def has(self, key: str, candidate: int) -> bool:
        """Whether that answer was added."""
        return bool(self._slots[self._place(_number(key, candidate))])

    def _place(self, number: int) -> int:
        """Where the number is, or the free place where it belongs."""
        last = len(self._slots) - 1
        place = number & last
        while self._slots[place] not in (0, number):
            place = (place + 1) & last
        return place

    def _grow(self) -> None:
        numbers, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
        for number in filter(None, numbers):
            self._slots[self._place(number)] = number


def _number(key: str, candidate: int) -> int:
    return (int(key[-_KEPT_DIGITS:], 16) + candidate * _CANDIDATES) % 2**64 or 1  # 0 is a free place
