"""The rows of an output as they are now, whatever an editor or a spreadsheet did to it."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from juicecap.data.edits.cells import text_digest, value_digest, value_in
from juicecap.data.edits.written_rows import Layout, row_key
from juicecap.data.export.csv_table import without_apostrophe
from juicecap.data.export.rows import samples
from juicecap.data.source import open_source
from juicecap.errors import DataError
from juicecap.sample import HIDDEN

_READERS: Mapping[str, str] = {"csv": "csv_table", "json": "json_list", "jsonl": "jsonl"}
"""Format -> module of `data.source.text`."""

_BLOCK = 2**20


class FoundRow(NamedTuple):
    """A row, and where it is."""

    where: str
    values: dict[str, Any]


class NotComparedError(DataError):
    """It cannot be found out what is in an output; the message is a sentence without a full stop."""


def found_rows(output: Path, layout: Layout, *, quick: bool = False) -> Iterator[FoundRow]:
    """The rows of a file, or of a folder of shards, in order; `quick`: no Parquet, which takes long.

    Raises:
        NotComparedError: a row cannot be read, or a column is missing, or it would take long.
    """
    for file in files_of(output, layout.format):
        rows = _parquet(file, quick=quick) if layout.format == "parquet" else _text(file, layout)
        try:
            yield from rows
        except NotComparedError:
            raise
        except DataError as error:
            raise NotComparedError(str(error).rstrip(".")) from error


def files_of(output: Path, format: str) -> list[Path]:
    """The files of an output."""
    return sorted(output.glob(f"*.{format}")) if output.is_dir() else [output]


def found_key(row: FoundRow, layout: Layout) -> str:
    """The digests of a row's cells, as `written_rows.row_key` has them."""
    if layout.format == "csv":
        return row_key([text_digest(row.values[name], kind) for name, kind in layout.columns.items()])
    return row_key([value_digest(row.values.get(name), kind) for name, kind in layout.columns.items()])


def edited_value(row: FoundRow, name: str, layout: Layout) -> Any:
    """The value that somebody wrote into a cell."""
    if layout.format != "csv":
        return row.values.get(name)
    read = value_in(row.values[name], layout.columns[name])
    return without_apostrophe(read) if layout.escaped and isinstance(read, str) else read


def content_digest(output: Path) -> str:
    """The digest of the bytes of a file, or of all files in a folder.

    Raises:
        OSError: one cannot be read.
    """
    state = xxhash.xxh3_128()
    for file in sorted(output.iterdir()) if output.is_dir() else [output]:
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                state.update(block)
        state.update(b"\0")
    return state.hexdigest()


def _text(file: Path, layout: Layout) -> Iterator[FoundRow]:
    module = importlib.import_module(f"juicecap.data.source.text.{_READERS[layout.format]}")
    for record in module.records(file):
        if record.broken:
            raise NotComparedError(f"{record.where}: {record.broken}".rstrip("."))
        if layout.format == "csv" and (lacks := [name for name in layout.columns if name not in record.values]):
            raise NotComparedError(f"{record.where}: it has no cell {lacks[0]!r}")
        yield FoundRow(record.where, record.values)


def _parquet(file: Path, *, quick: bool) -> Iterator[FoundRow]:
    if quick:
        raise NotComparedError("its rows were not looked at")
    with tempfile.TemporaryDirectory(prefix="juicecap-", ignore_cleanup_errors=True) as scratch:
        for number, sample in enumerate(samples(open_source(str(file), cache_folder=Path(scratch))), start=1):
            yield FoundRow(f"{file} (row {number})", {name: value for name, value in sample.items() if name not in HIDDEN})
