"""CSV and TSV with a header line. Every cell is text, as it stands: nothing is taken for a number, a null or a date.

A row that is too short lacks its last cells; a row that is too long is broken, since it is not known what its last cells
are. Quotes must be closed and nothing may follow them in a cell: else it is not known where the next row begins, and the
table as a whole cannot be read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.compressed import inner_suffix, lines
from juicecap.data.record import LONGEST, BrokenRecord, Record, decoded, misnamed, record
from juicecap.data.source.options import Options
from juicecap.data.source.text_file import dataset_of_file
from juicecap.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset


def open_dataset(path: str, options: Options) -> Dataset:
    """The dataset of a CSV or TSV file."""
    return dataset_of_file(path, records, options)


def records(path: Path) -> Iterator[Record]:
    """The rows of the table, each named by the line on which it begins.

    Raises:
        DataError: the file cannot be read, its header is broken, or it cannot be told where a row ends.
    """
    header: list[str] | None = None
    for number, cells in _rows(path):
        where = f"{path}:{number}"
        if header is None:
            header = _checked(cells, where)
        else:
            yield record(f"{path.name}:{number}", where, partial(_values, header, cells, where))


def _values(header: list[str], cells: list[str], where: str) -> dict[str, str]:
    if len(cells) > len(header):
        raise BrokenRecord(
            where, f"has {len(cells)} cells where the header has {len(header)}. Quote cells that hold the separator."
        )
    return dict(zip(header, _valid(cells, where), strict=False))


def _valid(cells: list[str], where: str) -> list[str]:
    """The cells, in which bytes that are not UTF-8 stand as halves of surrogate pairs so far."""
    for cell in cells:
        if not cell.isascii():
            decoded(cell.encode("utf-8", "surrogateescape"), where)
    return cells


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(LONGEST)
    separator = "\t" if inner_suffix(path) == ".tsv" else ","
    reader = csv.reader(_texts(path), delimiter=separator, strict=True)
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


def _texts(path: Path) -> Iterator[str]:
    for number, line in lines(path):
        if len(line) > LONGEST:
            raise DataError(f"{path}:{number}: a line of more than {LONGEST:,} bytes. Check the quotes before it.")
        yield line.decode("utf-8", "surrogateescape")


def _checked(header: list[str], where: str) -> list[str]:
    for name in _valid(header, where):
        if header.count(name) > 1:
            raise DataError(f"{where}: the header names {name!r} twice. Rename one of the columns.")
        if reason := misnamed(name):
            raise DataError(f"{where}: {reason}")
    return header
