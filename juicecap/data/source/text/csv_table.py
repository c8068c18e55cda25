"""CSV and TSV with a header line. Every cell is text, as it stands: nothing is taken for a number, a null or a date.

Where a file was joined to another one, a byte order mark and the header may stand between rows: such a line is no row.

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

from juicecap.data.compressed import inner_suffix, lines, without_mark
from juicecap.data.record import LONGEST, NAMES, VALUES, BrokenRecord, Record, decoded, misnamed, record
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.text.text_file import dataset_of_file
from juicecap.errors import DataError
from juicecap.sample import short_repr

if TYPE_CHECKING:
    from datasets import Dataset


_OTHERS = (";", "\t", "|", ",")
"""What separates cells in tables of others."""


def open_dataset(path: str, options: SourceOptions) -> Dataset:
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
            _refuse_other_separator(header, where, _separator(path))
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
    separator = _separator(path)
    texts = _Texts(path, separator.encode())
    reader = csv.reader(iter(texts), delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1
        texts.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}:{number}: not a valid row: {error}. Check its quotes.") from None
        if cells:
            yield number, cells


def _separator(path: Path) -> str:
    return "\t" if inner_suffix(path) == ".tsv" else ","


def _refuse_other_separator(header: list[str], where: str, separator: str) -> None:
    """A separator is told, never guessed at: a header of one column may be that of a table with another one."""
    found = next((each for each in _OTHERS if len(header) == 1 and each in header[0]), None)
    if found:
        what = f"it has one column, {short_repr(header[0])}; is it separated by {_shown(found)}?"
        kind = "tabs in .tsv" if separator == "\t" else "commas in .csv, or by tabs in .tsv"
        raise DataError(f"{where}: {what} Cells are separated by {kind}: write the table so.")


def _shown(separator: str) -> str:
    return "tabs" if separator == "\t" else repr(separator)


class _Texts:
    """The lines of a table, as long as those of one row are not too many."""

    def __init__(self, path: Path, separator: bytes) -> None:
        self._path, self._separator = path, separator
        self._bytes = self._cells = 0
        self._header = b""

    def begin_row(self) -> None:
        """The next line begins a row."""
        self._bytes = self._cells = 0

    def __iter__(self) -> Iterator[str]:
        for number, line in lines(self._path):
            if number == 1:
                self._header = line.strip()
            elif not self._bytes and line != (unmarked := without_mark(line)) and unmarked.strip() == self._header:
                yield "\n"
                continue
            self._bytes += len(line)
            self._cells += line.count(self._separator)
            if self._bytes > LONGEST or self._cells > VALUES:
                what = f"{LONGEST:,} bytes" if self._bytes > LONGEST else f"{VALUES:,} cells"
                raise DataError(f"{self._path}:{number}: a row of more than {what}. Check the quotes before it.")
            yield line.decode("utf-8", "surrogateescape")


def _checked(header: list[str], where: str) -> list[str]:
    if len(header) > NAMES:
        what = f"the header has {len(header):,} cells, and there can be {NAMES:,} columns"
        raise DataError(f"{where}: {what}. Check its separator.")
    seen: set[str] = set()
    for name in _valid(header, where):
        if name in seen:
            raise DataError(f"{where}: the header names {short_repr(name)} twice. Rename one of the columns.")
        seen.add(name)
        if reason := misnamed(name):
            raise DataError(f"{where}: {reason}")
    return header
