"""Writing a dataset: one module per format. An export appears whole and counted, or not at all."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from juicecap.data.export import csv_table
from juicecap.data.export.counted import Format, write_counted
from juicecap.data.export.shards import write_shards
from juicecap.data.writing.atomic import replacing
from juicecap.errors import DataError
from juicecap.naming import quoted

if TYPE_CHECKING:
    from datasets import Dataset

CsvFormulas = Literal["escape", "raw"]

FORMATS: Mapping[str, str] = {"csv": "csv_table", "json": "json_list", "jsonl": "jsonl", "parquet": "parquet"}
"""Format -> module of this package; each has `write(dataset, stream)` and `count(path)`."""

TABLES: Mapping[str, str] = {**FORMATS, "lines": "text_lines", "mapping": "mapping"}
"""Besides those that a suffix names, the formats that must be asked for by name."""


def write_export(
    dataset: Dataset,
    path: str | Path,
    *,
    format: str | None = None,
    shard_size: int = 0,
    owner: str = "",
    ready: Callable[[Path], None] | None = None,
    csv_formulas: CsvFormulas = "raw",
) -> int:
    """Write all rows and return their number. Hidden columns are left out; keys come in the order of the columns.

    The format is that of the suffix unless it is given. The file, or with a `shard_size` in bytes the folder of shards
    (`export_target`), is written under a temporary name, read again and counted, and only then renamed; on any failure what was
    there stays. `owner` and `ready` as for `atomic.replacing`; `csv_formulas` decides how texts that a spreadsheet would take for
    formulas are written into a CSV.

    Raises:
        DataError: the format is unknown, a value does not fit it, or the output cannot be written there.
        EnvironmentFailure: the disk is full or fails.
        BugError: a file does not hold as many rows as were written.
    """
    target = export_target(Path(path), shard_size)
    name = format_of(Path(path), format)
    module: Format = importlib.import_module(f"{__name__}.{TABLES[name]}")
    if name == "csv" and csv_formulas == "escape":
        module = csv_table.ESCAPING
    if shard_size:
        write_shards(dataset, target, module, suffix=name, shard_size=shard_size, owner=owner, ready=ready)
    else:
        with replacing(target, owner, ready) as stream:
            write_counted(dataset, stream, module, str(path))
    return len(dataset)


def export_target(path: Path, shard_size: int) -> Path:
    """What an export writes: the file at `path`, or with a `shard_size` the folder of that name without the suffix."""
    return path.parent / path.stem if shard_size else path


def format_of(path: Path, format: str | None = None) -> str:
    """The format (a key of `TABLES`) in which `path` will be written.

    Raises:
        DataError: it is unknown.
    """
    name = format or path.suffix.lower().removeprefix(".")
    if name not in (TABLES if format else FORMATS):
        what = f"the format {name!r}" if format else f"the suffix {quoted(path.suffix)}"
        raise DataError(f"{path} cannot be written: {what} is unknown. Use one of: {', '.join(FORMATS)}.")
    return name
