"""CSV and TSV with a header line. Every cell is text, as it stands: nothing is taken for a number, a null or a date.

A row that is too short lacks its last cells; a row that is too long is an error, since it is not known what its last cells
are. Quotes must be closed and nothing may follow them in a cell.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.record import Record, text_lines
from juicecap.data.source.options import Options
from juicecap.data.source.text_file import dataset_of_file
from juicecap.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

LONGEST_CELL = 1 << 30
"""Characters; the default of Python's csv, 128 Ki, is too short for JSON in a cell."""


def open_dataset(path: str, options: Options) -> Dataset:
    """The dataset of a CSV or TSV file."""
    return dataset_of_file(path, records, options)


def records(path: Path) -> Iterator[Record]:
    """The rows of the table, each named by the line on which it begins.

    Raises:
        DataError: a row is broken.
    """
    header: list[str] | None = None
    for number, cells in _rows(path):
        where = f"{path}:{number}"
        if header is None:
            header = _checked(cells, where)
        elif len(cells) > len(header):
            raise DataError(
                f"{where}: has {len(cells)} cells where the header has {len(header)}. Quote cells that hold the separator."
            )
        else:
            yield Record(f"{path.name}:{number}", where, dict(zip(header, cells, strict=False)))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(LONGEST_CELL)
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.reader((line for _, line in text_lines(path)), delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}:{number}: not a valid row: {error}. Check its quotes.") from None
        if cells:
            yield number, cells


def _checked(header: list[str], where: str) -> list[str]:
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{where}: the header names {name!r} twice. Rename one of the columns.")
    return header
