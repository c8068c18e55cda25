"""What somebody did to an output since it was written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from juicecap.data.edits.found_rows import FoundRow, NotComparedError, edited_value, found_key, found_rows
from juicecap.data.edits.pairing import Found, Pairs, paired
from juicecap.data.edits.written_rows import Head, Layout, WrittenRow, cells_of, read_rows
from juicecap.errors import DataError
from juicecap.sample import short_repr

SHOWN = 3
"""Rows that a message names."""


@dataclass(frozen=True, kw_only=True)
class ChangedRow:
    """A row of which cells were changed, and the values that they have now."""

    row: WrittenRow
    cells: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Edits:
    """How an output differs from what was written."""

    changed: tuple[ChangedRow, ...] = ()
    deleted: tuple[WrittenRow, ...] = ()
    added: tuple[str, ...] = ()
    """Where the rows are that were not there before."""
    unclear: tuple[str, ...] = ()
    """Where the rows are that may be several of those that were written."""
    columns: tuple[str, ...] = ()
    """Columns that were not there before."""
    unknown: str = ""
    """Why it is not known which rows differ; empty if it is."""
    equal: int = 0
    """Rows that are as they were."""
    layout: Layout | None = None
    """How the output was written."""
    source: Path | None = field(default=None, compare=False)
    """The file of the rows as they were written."""

    @property
    def says_the_same(self) -> bool:
        """Whether no row says anything else, so that only the order or the spelling differs."""
        return not (self.changed or self.deleted or self.added or self.unclear or self.columns or self.unknown)

    @property
    def differences(self) -> int:
        """How many rows differ."""
        return len(self.changed) + len(self.deleted) + len(self.added) + len(self.unclear)


def compare(output: Path, source: Path, head: Head, *, quick: bool = False) -> Edits:
    """How an output differs from its rows in the file `source`; `quick`: Parquet is not read."""
    layout = head.layout
    columns: dict[str, None] = {}
    try:
        pairs = paired(read_rows(source), _keys(output, layout, columns, quick=quick), _numbers(layout))
        places = {found.position for found in (*pairs.added, *pairs.unclear, *(found for _, found in pairs.changed))}
        rows = dict(_rows_at(output, layout, places, quick=quick))
    except NotComparedError as error:
        return Edits(unknown=str(error), layout=layout, source=source)
    except (DataError, OSError) as error:
        return Edits(unknown=f"what was written is not known: {error}", layout=layout, source=source)
    return Edits(
        changed=tuple(sorted(_changed(pairs, rows, layout), key=lambda each: each.row)),
        deleted=tuple(each.row for each in pairs.deleted),
        added=_places(pairs.added, rows),
        unclear=_places(pairs.unclear, rows),
        columns=tuple(columns),
        equal=pairs.equal,
        layout=layout,
        source=source,
    )


def described(edits: Edits) -> str:
    """The differences in a few words: `2 rows differ (clips.jsonl:3, clips.jsonl:7)`."""
    if edits.unknown:
        return f"rows unknown: {edits.unknown}"
    said = [
        _counted(len(edits.changed), "differ", [each.row.name for each in edits.changed]),
        _counted(len(edits.deleted), "deleted", [each.name for each in edits.deleted]),
        _counted(len(edits.added), "added", edits.added),
        _counted(len(edits.unclear), "of which it is not known what they were", edits.unclear),
        f"columns added ({', '.join(map(short_repr, edits.columns[:SHOWN]))})" if edits.columns else "",
    ]
    return ", ".join(filter(None, said)) or "no row differs"


def obstacles(edits: Edits) -> str:
    """Why these edits cannot be carried into another output; empty if they can."""
    if edits.unknown:
        return edits.unknown
    said = [
        f"{edits.added[0]} was added, and belongs to no sample" if edits.added else "",
        f"{edits.unclear[0]} may be several of the rows that were written" if edits.unclear else "",
        f"column {short_repr(edits.columns[0])} was added" if edits.columns else "",
    ]
    return "; ".join(filter(None, said))


def _counted(count: int, what: str, names: Sequence[str]) -> str:
    if not count:
        return ""
    more = ", …" if count > SHOWN else ""
    rows = "row" if count == 1 else "rows"
    verb = what if what != "differ" else "differs" if count == 1 else "differ"
    return f"{count:,} {rows} {verb} ({', '.join(names[:SHOWN])}{more})"


def _numbers(layout: Layout) -> list[int]:
    """The numbers of the columns with media."""
    return [number for number, name in enumerate(layout.columns) if name in layout.media]


def _keys(output: Path, layout: Layout, columns: dict[str, None], *, quick: bool) -> Iterator[str]:
    """The keys of the rows; `columns` receives those that were not written."""
    for row in found_rows(output, layout, quick=quick):
        if not row.values.keys() <= layout.columns.keys():
            columns.update(dict.fromkeys(name for name in row.values if name not in layout.columns))
        yield found_key(row, layout)


def _rows_at(output: Path, layout: Layout, places: set[int], *, quick: bool) -> Iterator[tuple[int, FoundRow]]:
    """The rows at these positions."""
    if places:
        last = max(places)
        for position, row in enumerate(found_rows(output, layout, quick=quick)):
            if position in places:
                yield position, row
            if position == last:
                return


def _changed(pairs: Pairs, rows: dict[int, FoundRow], layout: Layout) -> Iterator[ChangedRow]:
    for written, found in pairs.changed:
        cells = zip(layout.columns, cells_of(written.key), cells_of(found.key), strict=True)
        row = rows[found.position]
        yield ChangedRow(row=written.row, cells={name: edited_value(row, name, layout) for name, one, two in cells if one != two})


def _places(found: Sequence[Found], rows: dict[int, FoundRow]) -> tuple[str, ...]:
    return tuple(rows[each.position].where for each in found)
