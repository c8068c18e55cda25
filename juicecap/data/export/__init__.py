"""Writing a dataset to a file: one file per format. An export is there whole and counted, or not at all."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.atomic import replacing
from juicecap.errors import BugError, DataError

if TYPE_CHECKING:
    from datasets import Dataset

FORMATS: Mapping[str, str] = {"csv": "csv_table", "json": "json_list", "jsonl": "jsonl", "parquet": "parquet"}
"""Format -> module of this package; each has `write(dataset, stream)` and `count(path)`."""


def write_export(dataset: Dataset, path: str | Path, *, format: str | None = None) -> int:
    """Write all rows to `path` and return their number. Hidden columns are left out; keys come in the order of the columns.

    The format is that of the suffix unless it is given. The file is written under a temporary name, read again and counted,
    and only then renamed; on any failure what was at `path` stays.

    Raises:
        DataError: the format is unknown, a value does not fit it, or the file cannot be written there.
        EnvironmentFailure: the disk is full.
        BugError: the file does not hold as many rows as were written.
    """
    target = Path(path)
    module = importlib.import_module(f"{__name__}.{FORMATS[format_of(target, format)]}")
    with replacing(target) as stream:
        module.write(dataset, stream)
        stream.flush()
        found: int = module.count(Path(stream.name))
        if found != len(dataset):
            raise BugError(f"{path}: {len(dataset)} rows were written but {found} were read back. Nothing was exported.")
    return found


def format_of(path: Path, format: str | None = None) -> str:
    """The format (a key of `FORMATS`) in which `path` will be written.

    Raises:
        DataError: it is unknown.
    """
    name = format or path.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        what = f"the format {name!r}" if format else f"the suffix {path.suffix!r}"
        raise DataError(f"{path} cannot be written: {what} is unknown. Use one of: {', '.join(FORMATS)}.")
    return name
