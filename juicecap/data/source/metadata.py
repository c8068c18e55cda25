"""A folder of media with a `metadata.csv` or `.jsonl`, its own or those of its `train/` and `test/`, that assigns rows to files.

That is the layout of `videofolder` and `imagefolder` in `datasets`, whose column is `file_name`, and of several trainers, which
call it otherwise: the column is the first one that holds names of media. The rows are read as any table's, their paths are
relative to their own file, and each gets its path in the column of the medium's kind too; media without a row are skipped.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.record import Record
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.text import csv_table, jsonl
from juicecap.data.source.text.text_file import dataset_of_files
from juicecap.errors import DataError
from juicecap.fragment import without_fragment

if TYPE_CHECKING:
    from datasets import Dataset

NAMES = ("metadata.csv", "metadata.jsonl")
SPLITS = ("train", "validation", "val", "test")
"""Folders inside of a folder that hold metadata each, in this order."""

COLUMN = "file_name"
"""The column that holds the names wherever it is there."""

_ROWS = 20
"""Rows in which a column of names is looked for."""


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a folder with metadata, or of its metadata file."""
    files = metadata_files(Path(path), options)
    return dataset_of_files(path, files, partial(records, options=options), options)


def metadata_files(location: Path, options: SourceOptions) -> list[Path]:
    """The files with the metadata of a folder, or the file itself if it is one; only those with a column of names of media."""
    if not location.is_dir():
        return [location] if location.name in NAMES and _column(location, options) else []
    own = _metadata_file(location, options)
    inner = [] if own else [_metadata_file(location / name, options) for name in SPLITS]
    return [each for each in (own, *inner) if each]


def records(path: Path, options: SourceOptions) -> Iterator[Record]:
    """The rows of one file, each with its medium's path.

    Raises:
        DataError: the file cannot be read.
    """
    column = _column(path, options)
    for each in _reader(path)(path):
        yield _with_paths(each, column, options)


def all_records(location: Path, options: SourceOptions) -> Iterator[Record]:
    """The rows of all files of a folder with metadata, each with the folder that its paths are relative to.

    Raises:
        DataError: a file cannot be read.
    """
    for file in metadata_files(location, options):
        for each in records(file, options):
            yield each._replace(folder=str(file.absolute().parent))


def _metadata_file(folder: Path, options: SourceOptions) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file() and _column(folder / name, options)), None)


def _with_paths(record: Record, column: str | None, options: SourceOptions) -> Record:
    named = record.values.get(column) if column else None
    paths = [named] if isinstance(named, str) else named
    if not (paths and _are_texts(paths)):
        return record
    kind = options.media_column(without_fragment(paths[0])) or options.video_key
    return record if kind in record.values else record._replace(values={**record.values, kind: paths})


def _reader(path: Path) -> Callable[[Path], Iterator[Record]]:
    return csv_table.records if path.suffix == ".csv" else jsonl.records


def _column(path: Path, options: SourceOptions) -> str | None:
    """The column that holds names of media, as the first rows have it; None if there is none, or the file cannot be read."""
    try:
        rows = [each.values for each in itertools.islice(_reader(path)(path), _ROWS)]
    except DataError:
        return None
    if any(COLUMN in row for row in rows):
        return COLUMN
    columns = dict.fromkeys(name for row in rows for name in row)
    return next((name for name in columns if any(_names_media(row.get(name), options) for row in rows)), None)


def _names_media(value: Any, options: SourceOptions) -> bool:
    texts = [value] if isinstance(value, str) else value
    return bool(texts) and _are_texts(texts) and all(options.media_column(without_fragment(each)) for each in texts)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)
