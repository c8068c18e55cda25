"""Which row of an edited output was which when it was written.

Rows that say the same belong together, whatever their order. Of the others a row is known by its media, and of several with the
same media by the most cells that are equal; where the media themselves were changed, by all other cells. Rows that cannot be
told apart so are taken in their order, if there are as many as were written and no row of the output was moved. Memory grows
with the rows that were changed or moved, not with all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple, TypeVar

from juicecap.data.edits.written_rows import WrittenRow, cells_of

MOST_COMPARED = 250_000
"""Pairs of rows that are compared, cell by cell, where rows have something in common."""


class Written(NamedTuple):
    """A written row that is not in the output as it was."""

    position: int
    key: str
    row: WrittenRow


class Found(NamedTuple):
    """A row of the output that was not written so."""

    position: int
    key: str


T = TypeVar("T")
Row = TypeVar("Row", Written, Found)


@dataclass
class Pairs:
    """What became of the rows that are not as they were."""

    changed: list[tuple[Written, Found]] = field(default_factory=list)
    deleted: list[Written] = field(default_factory=list)
    added: list[Found] = field(default_factory=list)
    unclear: list[Found] = field(default_factory=list)
    """Rows that may be several of those that were written."""
    equal: int = 0
    """Rows that are as they were."""
    moved: bool = False
    """Whether some of these are in another order."""


def paired(written: Iterable[WrittenRow], found: Iterable[str], media: Sequence[int]) -> Pairs:
    """Pair rows that were written with those that are there, which are given by their keys; `media` are columns by number."""
    waiting = _Waiting()
    for position, (row, key) in enumerate(zip_longest(written, found)):
        if row is not None:
            waiting.take_written(Written(position, row.key, row))
        if key is not None:
            waiting.take_found(Found(position, key))
    rest = _Rest(waiting)
    others = [number for number in range(rest.width) if number not in media]
    if media:
        rest.pair_nearest(media)
        rest.pair_in_order(media)
        rest.pair_in_order(others)
    else:
        by_variety = sorted(others, key=rest.variety, reverse=True)
        for number in by_variety:
            rest.pair_nearest([number])
        for number in by_variety:
            rest.pair_in_order([number])
        if rest.width == 1 and rest.stand_alike():
            rest.pair_in_order([])
    return Pairs(
        changed=rest.changed,
        deleted=rest.written,
        added=[each for each in rest.found if each not in rest.unclear],
        unclear=[each for each in rest.found if each in rest.unclear],
        equal=waiting.equal,
        moved=waiting.moved,
    )


class _Waiting:
    """Rows that wait for an equal one."""

    def __init__(self) -> None:
        self.written: dict[str, deque[Written]] = {}
        self.found: dict[str, deque[Found]] = {}
        self.equal = 0
        self.moved = False
        self._last = (-1, -1)

    def take_written(self, row: Written) -> None:
        """Take the next row that was written."""
        if other := _taken(self.found, row.key):
            self._meet(row, other)
        else:
            self.written.setdefault(row.key, deque()).append(row)

    def take_found(self, row: Found) -> None:
        """Take the next row that is there."""
        if other := _taken(self.written, row.key):
            self._meet(other, row)
        else:
            self.found.setdefault(row.key, deque()).append(row)

    def _meet(self, written: Written, found: Found) -> None:
        self.equal += 1
        self.moved |= written.position < self._last[0] or found.position < self._last[1]
        self._last = written.position, found.position


class _Rest:
    """The rows that have no equal one, and the pairs that are found among them."""

    def __init__(self, waiting: _Waiting) -> None:
        self.written = _sorted(waiting.written)
        self.found = _sorted(waiting.found)
        self.changed: list[tuple[Written, Found]] = []
        self.unclear: set[Found] = set()
        self._moved = waiting.moved
        keys = {each.key for each in self.written} | {each.key for each in self.found}
        self._cells = {key: cells_of(key) for key in keys}
        self.width = len(next(iter(self._cells.values()), ()))

    def variety(self, column: int) -> int:
        """How many different cells of a column there are."""
        return len({self._cells[each.key][column] for each in self.written})

    def stand_alike(self) -> bool:
        """Whether the rows of both stand in the same places."""
        return [each.position for each in self.written] == [each.position for each in self.found]

    def pair_nearest(self, columns: Sequence[int]) -> None:
        """Of rows with equal cells in these columns pair those of which each is nearest to the other, and no other as near."""
        for written, found in self._groups(columns):
            if len(written) * len(found) <= MOST_COMPARED:
                self._pair_nearest(written, found)
        self._forget_paired()

    def pair_in_order(self, columns: Sequence[int]) -> None:
        """Pair rows with equal cells in these columns in their order, if that can be relied on and there are as many of both."""
        ordered = not self._moved and _in_one_order(self.changed)
        for written, found in self._groups(columns):
            if len(written) == len(found) and (len(written) == 1 or ordered):
                self.changed += zip(written, found, strict=True)
            else:
                self.unclear.update(found)
        self._forget_paired()

    def _pair_nearest(self, written: list[Written], found: list[Found]) -> None:
        if len(written) == len(found) == 1:
            self.changed.append((written[0], found[0]))
            return
        while written and found:
            nearest = {row: _only(found, [self._likeness(row, other) for other in found]) for row in written}
            back = {other: _only(written, [self._likeness(row, other) for row in written]) for other in found}
            pairs = [(row, other) for row, other in nearest.items() if other is not None and back[other] == row]
            if not pairs:
                return
            self.changed += pairs
            rows, others = {row for row, _ in pairs}, {other for _, other in pairs}
            written = [row for row in written if row not in rows]
            found = [other for other in found if other not in others]

    def _groups(self, columns: Sequence[int]) -> Iterator[tuple[list[Written], list[Found]]]:
        """The rows of both that have the same cells in these columns."""
        groups: dict[tuple[bytes, ...], tuple[list[Written], list[Found]]] = {}
        for row in self.written:
            groups.setdefault(self._part(row.key, columns), ([], []))[0].append(row)
        for other in self.found:
            groups.setdefault(self._part(other.key, columns), ([], []))[1].append(other)
        return ((written, found) for written, found in groups.values() if written and found)

    def _forget_paired(self) -> None:
        rows, others = {row.position for row, _ in self.changed}, {other.position for _, other in self.changed}
        self.written = [row for row in self.written if row.position not in rows]
        self.found = [other for other in self.found if other.position not in others]

    def _part(self, key: str, columns: Sequence[int]) -> tuple[bytes, ...]:
        cells = self._cells[key]
        return tuple(cells[column] for column in columns)

    def _likeness(self, row: Written, other: Found) -> int:
        return sum(one == two for one, two in zip(self._cells[row.key], self._cells[other.key], strict=True))


def _in_one_order(pairs: Sequence[tuple[Written, Found]]) -> bool:
    """Whether the rows of the pairs are in the same order on both sides."""
    positions = [other.position for _, other in sorted(pairs)]
    return positions == sorted(positions)


def _only(rows: Sequence[T], scores: Sequence[int]) -> T | None:
    """The row with the best score; None if several have it."""
    best = max(scores)
    return rows[scores.index(best)] if scores.count(best) == 1 else None


def _taken(waiting: dict[str, deque[T]], key: str) -> T | None:
    """The first row that waits under a key, which waits no more."""
    several = waiting.get(key)
    if not several:
        return None
    row = several.popleft()
    if not several:
        del waiting[key]
    return row


def _sorted(waiting: dict[str, deque[Row]]) -> list[Row]:
    """All rows that wait, in their order."""
    return sorted((each for several in waiting.values() for each in several), key=lambda each: each.position)
