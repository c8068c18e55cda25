"""A folder of media with a `metadata.csv` or `metadata.jsonl` whose column `file_name` assigns each row to a file.

That is the layout of `videofolder` and `imagefolder` in `datasets`. The rows are read as any table's, and each gets its path
in the column of the medium's kind too; media without a row are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.record import Record
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.text import csv_table, jsonl
from juicecap.data.source.text.text_file import dataset_of_file
from juicecap.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

NAMES = ("metadata.csv", "metadata.jsonl")
COLUMN = "file_name"


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a folder with metadata, or of its metadata file."""
    return dataset_of_file(str(metadata_file(Path(path))), partial(records, options=options), options)


def metadata_file(location: Path) -> Path | None:
    """The file with the metadata of a folder, or the file itself if it is one; None if there is none with `file_name`."""
    candidates = [location / name for name in NAMES] if location.is_dir() else [location] if location.name in NAMES else []
    return next((each for each in candidates if each.is_file() and _names_files(each)), None)


def records(path: Path, options: SourceOptions) -> Iterator[Record]:
    """The rows, each with its medium's path.

    Raises:
        DataError: the file cannot be read.
    """
    for each in _rows(path):
        name = each.values.get(COLUMN)
        column = options.media_column(name) or options.video_key if isinstance(name, str) and name else None
        if column and column not in each.values:
            yield each._replace(values={**each.values, column: [name]})
        else:
            yield each


def _rows(path: Path) -> Iterator[Record]:
    return csv_table.records(path) if path.suffix == ".csv" else jsonl.records(path)


def _names_files(path: Path) -> bool:
    try:
        return COLUMN in next(_rows(path)).values
    except (DataError, StopIteration):
        return False
