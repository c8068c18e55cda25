"""The rows of an output as they were written: of each its sample, its number among the rows of that, and digests of its cells.

The file has a line of JSON that tells of the output, then a line for each row. Rows are written and read one by one, so memory
does not grow with their number; a row of ten columns takes some 150 bytes.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from juicecap.data.edits.cells import DIGEST, Kind, kinds_of, text_digest, value_digest
from juicecap.data.export.csv_table import as_it_is, as_text, cell_text
from juicecap.data.export.rows import samples, visible_columns
from juicecap.data.writing.atomic import replacing
from juicecap.errors import DataError
from juicecap.plain import open_plain, read_beginning
from juicecap.sample import ORIGIN, Sample

if TYPE_CHECKING:
    from datasets import Dataset

MARK = "rows of an output"

_LONGEST_HEAD = 2**22


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a table is written."""

    format: str
    """A key of `export.FORMATS`."""
    columns: dict[str, Kind]
    media: tuple[str, ...] = ()
    """Columns with paths of media, by which a row is known again whatever else was changed in it."""
    escaped: bool = False
    """Whether texts in a CSV that a spreadsheet would take for formulas have an apostrophe in front."""

    @classmethod
    def of(cls, dataset: Dataset, format: str, media: Iterable[str] = (), *, csv_formulas: str = "raw") -> Layout:
        """The layout of a dataset that is written in a format; `csv_formulas` as in a recipe."""
        names = visible_columns(dataset)
        found = tuple(name for name in names if name in set(media))
        return cls(
            format=format, columns=kinds_of(dataset, names), media=found, escaped=format == "csv" and csv_formulas == "escape"
        )


class WrittenRow(NamedTuple):
    """A row."""

    id: str
    """The id of its sample."""
    number: int
    """Its number, from 0, among neighbouring rows of the same sample."""
    key: str
    """The digests of its cells, in one text: equal in rows that say the same."""

    @property
    def name(self) -> str:
        """The row in a message."""
        return f"{self.id}, row {self.number + 1} of it" if self.number else self.id


@dataclass(frozen=True, kw_only=True)
class Head:
    """What the first line tells of an output."""

    layout: Layout
    rows: int
    content: str
    """The digest of the bytes that were written."""
    edited: dict[str, int] = field(default_factory=dict)
    """Edits that the output has and these rows do not: how many rows are changed, and how many deleted; empty: none."""


def rows_of(dataset: Dataset, layout: Layout) -> Iterator[WrittenRow]:
    """The rows of a dataset, before they are written."""
    home, last, number = None, None, 0
    for sample in samples(dataset):
        origin = sample.get(ORIGIN) or {}
        folder, identity = origin.get("folder") or "", str(origin.get("id") or "")
        home = folder if home is None else home
        identity = identity if folder == home else os.path.join(folder, identity)
        number = number + 1 if identity == last else 0
        last = identity
        yield WrittenRow(identity, number, row_key([_cell(sample, name, layout) for name in layout.columns]))


def row_key(cells: Sequence[bytes]) -> str:
    """The digests of a row's cells, in one text."""
    return base64.b64encode(b"".join(cells)).decode()


def cells_of(key: str) -> list[bytes]:
    """The digests again."""
    joined = base64.b64decode(key)
    return [joined[start : start + DIGEST] for start in range(0, len(joined), DIGEST)]


def write_rows(file: Path, head: Head, rows: Iterable[WrittenRow]) -> None:
    """Write the file.

    Raises:
        DataError, EnvironmentFailure: it cannot be written.
    """
    with replacing(file, through_links=False) as stream:
        stream.write(json.dumps({"juicecap": MARK, "version": 1, **asdict(head)}).encode() + b"\n")
        stream.writelines(json.dumps(row).encode() + b"\n" for row in rows)


def read_head(file: Path) -> Head | None:
    """The first line; None if there is no such file, or it is damaged."""
    try:
        line, newline, _ = read_beginning(file, _LONGEST_HEAD).partition(b"\n")
        found: Any = json.loads(line)
        if not newline or (found.pop("juicecap"), found.pop("version")) != (MARK, 1):
            return None
        layout = found.pop("layout")
        return Head(layout=Layout(**{**layout, "media": tuple(layout["media"])}), **found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def read_rows(file: Path) -> Iterator[WrittenRow]:
    """The rows, in order.

    Raises:
        DataError: the file is damaged.
    """
    try:
        with os.fdopen(open_plain(file), "rb") as stream:
            left = json.loads(next(stream))["rows"]
            for line in stream:
                identity, number, key = json.loads(line)
                yield WrittenRow(str(identity), int(number), str(key))
                left -= 1
            if left:
                raise ValueError(f"{left} rows are not there")  # noqa: TRY301  (caught here on purpose)
    except (OSError, ValueError, KeyError, TypeError, StopIteration, RecursionError) as error:
        raise DataError(f"{file} is damaged") from error


def _cell(sample: Sample, name: str, layout: Layout) -> bytes:
    value, kind = sample[name], layout.columns[name]
    if layout.format == "csv":
        return text_digest(cell_text(value, sample, as_text if layout.escaped else as_it_is), kind)
    return value_digest(value, kind)
