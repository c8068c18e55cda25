"""Carrying what somebody changed in an output into the next one.

A row is known by its sample. Where a sample has several, one that says what it said before is the same one; the others are taken
in their order if there are as many as before. A sample of the same id with other media is another one. What cannot be carried
is an error, before anything is written.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from juicecap.data.edits.cells import value_digest
from juicecap.data.edits.comparing import ChangedRow, Edits
from juicecap.data.edits.written_rows import Layout, WrittenRow, cells_of, read_rows, rows_of
from juicecap.data.exact_json import encode_batch, exact, record_batch
from juicecap.data.export.rows import samples
from juicecap.data.table import chunks, open_arrow, rows_at_once, write_arrow
from juicecap.errors import DataError
from juicecap.sample import short_repr

if TYPE_CHECKING:
    from datasets import Dataset

_NOTHING = value_digest(None, "json")

ADVICE = (
    "Nothing was written, and what was answered is kept. Put that right and run again, or run with --overwrite, which keeps the "
    "edited output in the run folder."
)


@dataclass(frozen=True, kw_only=True)
class KeptCell:
    """A cell in which an edit was kept."""

    output: str
    id: str
    row: int
    """The number of the row among those of the sample, from 0."""
    column: str
    edited: Any
    """What somebody wrote, and what is in the output."""
    answer: Any
    """What would be there without the edit."""
    newly_answered: bool
    """Whether that is something else than when the edit was made."""


@dataclass(frozen=True, kw_only=True)
class KeptEdits:
    """The edits that an output was written with."""

    output: Path
    cells: tuple[KeptCell, ...] = ()
    rows: int = 0
    """Rows of which cells were changed."""
    deleted: int = 0
    """Rows that stay deleted."""

    @property
    def newly_answered(self) -> tuple[KeptCell, ...]:
        """The cells that would have another content now than when they were edited."""
        return tuple(cell for cell in self.cells if cell.newly_answered)


class _New(NamedTuple):
    """A row of the new dataset."""

    position: int
    row: WrittenRow


class _Edit(NamedTuple):
    """An edit, and the cells of its row by their columns, when it was made and now."""

    edit: ChangedRow
    then: dict[str, bytes]
    now: dict[str, bytes]


@dataclass
class _Plan:
    """What is done to the rows of the new dataset, by their positions."""

    changed: dict[int, _Edit] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)


def carried(dataset: Dataset, layout: Layout, output: Path, edits: Edits, scratch: Path) -> tuple[Dataset, KeptEdits]:
    """The dataset with the edits that were made in an output, in a table in the folder `scratch`.

    Raises:
        DataError: an edit belongs to no row of it, or does not fit its column.
        EnvironmentFailure: the disk is full.
    """
    plan = _planned(dataset, layout, output, edits)
    if not plan.changed and not plan.deleted:
        return dataset, KeptEdits(output=output)
    kept: list[KeptCell] = []
    features, name = exact(dataset.features), secrets.token_hex(8)
    file = scratch / f"edited-{name}.arrow"
    rows = _rows(dataset, output, plan, kept)
    write_arrow(file, features.arrow_schema, (record_batch(some, features) for some in chunks(rows, rows_at_once(dataset))))
    made = KeptEdits(output=output, cells=tuple(kept), rows=len(plan.changed), deleted=len(plan.deleted))
    return open_arrow(file, name), made


def _planned(dataset: Dataset, layout: Layout, output: Path, edits: Edits) -> _Plan:
    """What is done to the rows of the dataset.

    Raises:
        DataError: an edit belongs to no row.
    """
    assert edits.source
    assert edits.layout
    changed = {each.row: each for each in edits.changed}
    deleted = set(edits.deleted)
    ids = {row.id for row in (*changed, *deleted)}
    before = _by_sample(((row, row) for row in read_rows(edits.source)), ids)
    now = _by_sample(((row, _New(position, row)) for position, row in enumerate(rows_of(dataset, layout))), ids)
    plan, same = _Plan(), _Same(edits.layout, layout)
    for identity, rows in before.items():
        new: list[_New] = now.get(identity, [])
        for row, found in same.rows(rows, new, all_deleted=deleted.issuperset(rows)):
            edit, is_deleted = changed.get(row), row in deleted
            if not found and (edit or (is_deleted and new)):
                raise DataError(_lost(output, row, edit))
            if edit:
                (one,) = found
                plan.changed[one.position] = _Edit(edit, _cells(row, edits.layout), _cells(one.row, layout))
            elif is_deleted:
                plan.deleted.update(each.position for each in found)
    return plan


class _Same:
    """Which rows of a sample are the same before and now."""

    def __init__(self, before: Layout, now: Layout) -> None:
        both = [name for name in before.columns if name in now.columns]
        old, new = list(before.columns), list(now.columns)
        self._cells = [(old.index(name), new.index(name)) for name in both]
        self._media = [(old.index(name), new.index(name)) for name in both if name in before.media and name in now.media]

    def sample(self, row: WrittenRow, other: WrittenRow) -> bool:
        """Whether both may be of one sample: their media are the same, or without media any other cell."""
        if self._media:
            return self._equal(row, other, self._media)
        before, now = cells_of(row.key), cells_of(other.key)
        return len(self._cells) == 1 or any(before[old] == now[new] != _NOTHING for old, new in self._cells)

    def rows(
        self, rows: Sequence[WrittenRow], new: Sequence[_New], *, all_deleted: bool
    ) -> Iterator[tuple[WrittenRow, Sequence[_New]]]:
        """Each row of a sample with the one that it is now, or none if that cannot be told; with all if it was deleted whole."""
        left = [each for each in new if any(self.sample(row, each.row) for row in rows)]
        if all_deleted:
            yield from ((row, left) for row in rows)
            return
        others = []
        for row in rows:
            equal = next((each for each in left if self._equal(row, each.row, self._cells)), None)
            if equal:
                left.remove(equal)
                yield row, [equal]
            else:
                others.append(row)
        are_clear = len(others) == len(left)
        for number, row in enumerate(others):
            yield row, [left[number]] if are_clear and self.sample(row, left[number].row) else []

    @staticmethod
    def _equal(row: WrittenRow, other: WrittenRow, columns: Sequence[tuple[int, int]]) -> bool:
        before, now = cells_of(row.key), cells_of(other.key)
        return all(before[old] == now[new] for old, new in columns)


def _by_sample(rows: Iterator[tuple[WrittenRow, Any]], ids: set[str]) -> dict[str, list[Any]]:
    """What belongs to the rows of these samples, by sample."""
    found: dict[str, list[Any]] = {}
    for row, belonging in rows:
        if row.id in ids:
            found.setdefault(row.id, []).append(belonging)
    return found


def _cells(row: WrittenRow, layout: Layout) -> dict[str, bytes]:
    """The digests of a row's cells, by column."""
    return dict(zip(layout.columns, cells_of(row.key), strict=True))


def _rows(dataset: Dataset, output: Path, plan: _Plan, kept: list[KeptCell]) -> Iterator[dict[str, Any]]:
    """The rows with the edits, which are noted in `kept`."""
    columns = _Columns(dataset, output)
    for position, sample in enumerate(samples(dataset)):
        if position in plan.deleted:
            continue
        planned = plan.changed.get(position)
        if planned:
            columns.check(planned.edit)
            kept += _kept(output, sample, planned)
        yield {**sample, **(planned.edit.cells if planned else {})}


def _kept(output: Path, sample: Mapping[str, Any], planned: _Edit) -> Iterator[KeptCell]:
    row = planned.edit.row
    for name, value in planned.edit.cells.items():
        yield KeptCell(
            output=str(output),
            id=row.id,
            row=row.number,
            column=name,
            edited=value,
            answer=sample[name],
            newly_answered=planned.now[name] != planned.then[name],
        )


class _Columns:
    """The columns of a dataset, which take some values and not others."""

    def __init__(self, dataset: Dataset, output: Path) -> None:
        self._output = output
        self._features = exact(dataset.features)
        self._types = {field.name: field.type for field in self._features.arrow_schema}

    def check(self, edit: ChangedRow) -> None:
        """Make sure that edits fit their columns.

        Raises:
            DataError: one does not.
        """
        import pyarrow as pa

        for name, value in edit.cells.items():
            where = f"{self._output}: the edit of {edit.row.name} in column {name!r} cannot be kept"
            if name not in self._types:
                raise DataError(f"{where}: the new output has no such column. {ADVICE}")
            try:
                pa.array(encode_batch({name: [value]}, self._features)[name], self._types[name])
            except (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError) as error:
                raise DataError(f"{where}: {short_repr(value)} does not fit the column. {ADVICE}") from error


def _lost(output: Path, row: WrittenRow, edit: ChangedRow | None) -> str:
    what = f"the edit of {row.name} (column {', '.join(edit.cells)})" if edit else f"that {row.name} was deleted"
    return f"{output}: {what} cannot be kept: the new output has no such row, or it is not clear which one it is. {ADVICE}"
