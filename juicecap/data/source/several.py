"""Several files as one dataset: the tables of a folder, or what a pattern names (`data/*.jsonl`, `part-{000..012}.parquet`).

They are of one format, and come in order of their names. Media paths are relative to the folder of the file that names them.
"""

from __future__ import annotations

import glob
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.compressed import inner_suffix
from juicecap.data.record import Record
from juicecap.data.source import folder, sidecar
from juicecap.data.source.joined import first_parts, joined
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.shards import webdataset
from juicecap.data.source.tables import parquet
from juicecap.data.source.text import csv_table, file_list, json_list, jsonl
from juicecap.data.source.text.text_file import dataset_of_files
from juicecap.data.table import absolute, file_key
from juicecap.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

Reader = Callable[[Path], Iterator[Record]]

TABLES = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet", ".tsv": "csv", ".txt": "files"}
"""Suffix -> kind; files of one kind are one dataset."""

_SHOWN = 3
"""Files that a message names."""


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of all files.

    Raises:
        DataError: there are none, they are of several kinds, or one cannot be read.
    """
    files, kind = files_of(path, options)
    if kind != "parquet":
        texts = sidecar.states(Path(), map(str, files), options)
        return dataset_of_files(path, files, reader_of(kind, files, options), options, key=texts)
    parts = first_parts((parquet.open_dataset(str(file), options) for file in files), options.limit)
    return joined(parts, [path, options.limit, *map(file_key, files)], options.cache_folder)


def is_pattern(path: str) -> bool:
    """Whether a path that does not exist names several files."""
    return glob.has_magic(path) or webdataset.RANGE.search(path) is not None


def tables_of(location: Path, options: SourceOptions) -> list[Path]:
    """The tables of a folder and of the folders in it, in order of their names; those that `suffixes` names if it does."""
    wanted = tuple(f".{each.lower().lstrip('.')}" for each in options.suffixes) or tuple(TABLES)
    if not set(wanted) <= set(TABLES):
        return []
    return [location / name for name in folder.files_of(location, lambda name: inner_suffix(Path(name)) in wanted)]


def files_of(path: str, options: SourceOptions) -> tuple[list[Path], str]:
    """The files that a path names, and of what kind they are.

    Raises:
        DataError: there are none, or they are of several kinds.
    """
    location = Path(path)
    files = tables_of(location, options) if location.is_dir() else _matching(path)
    if not files:
        raise DataError(f"{path} matches no file.")
    kinds: dict[str, list[Path]] = {}
    for file in files:
        kinds.setdefault(_kind(file, options), []).append(file)
    if location.is_dir() and len(kinds) > 1:  # notes beside tables
        kinds.pop("files", None)
    if len(kinds) > 1 or "" in kinds:
        shown = ", ".join(str(each[0]) for each in itertools.islice(kinds.values(), _SHOWN))
        raise DataError(f"{path} names files of several kinds, such as {shown}. Give a pattern for those of one kind.")
    ((kind, files),) = kinds.items()
    return files, kind


def reader_of(kind: str, files: list[Path], options: SourceOptions) -> Reader:
    """Reads the records of one such file, but for Parquet."""
    if kind in ("json", "jsonl") and file_list.lists_texts(files[0]):
        kind = "files"
    readers: dict[str, Reader] = {
        "csv": csv_table.records,
        "files": partial(file_list.records, options=options),
        "json": json_list.records,
        "jsonl": jsonl.records,
        "media": lambda file: folder.records(absolute(file), options),
    }
    return readers[kind]


def _matching(path: str) -> list[Path]:
    names = webdataset.expanded(path)
    found = [Path(each) for name in names for each in sorted(glob.glob(name, recursive=True)) or [name]]  # noqa: PTH207  (a pattern may begin at the root)
    if lacks := next((each for each in found if not each.exists()), None):
        what = f"{path} matches no file." if glob.has_magic(str(lacks)) else f"{lacks} does not exist, which {path} names."
        raise DataError(what)
    return [each for each in found if each.is_file()]


def _kind(file: Path, options: SourceOptions) -> str:
    return TABLES.get(inner_suffix(file), "") or ("media" if options.media_column(file.name) else "")
