"""A folder of media with a `metadata.csv`, `.jsonl` or `.parquet`, its own or those of its `train/` and `test/`: rows for files.

FastVideo's `videos2caption.json` is such a file, too.

That is the layout of `videofolder` and `imagefolder` in `datasets`, whose column is `file_name`, and of several trainers, which
call it otherwise: the column is the first one that holds names of media. The rows are read as any table's, their paths are
relative to their own file, and each gets its path in the column of the medium's kind too; media without a row are skipped.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.columns import ORIGIN_FEATURE, features_of
from juicecap.data.record import Record
from juicecap.data.source.joined import first_parts, joined
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.tables import parquet
from juicecap.data.source.tables.peek import FirstRows
from juicecap.data.source.text import csv_table, json_list, jsonl, line_pairs
from juicecap.data.source.text.text_file import dataset_of_files
from juicecap.data.table import CHUNK, build_once, cached_file, file_key, fingerprint_of, write_arrow
from juicecap.errors import DataError
from juicecap.file_state import FileState
from juicecap.fragment import without_fragment
from juicecap.sample import ORIGIN

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

VIDEOS = "videos2caption.json"
"""FastVideo's name; the videos that it names lie in the folder `videos` beside it."""

NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet", VIDEOS)
SPLITS = ("train", "validation", "val", "test")
"""Folders inside of a folder that hold metadata each, in this order."""

COLUMN = "file_name"
"""The column that holds the names wherever it is there."""

_ROWS = 20
"""Rows in which a column of names is looked for."""


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a folder with metadata, or of its metadata file."""
    files = metadata_files(Path(path), options)
    if not any(map(_is_parquet, files)):
        return dataset_of_files(path, files, partial(records, options=options), options)
    parts = first_parts((_opened(file, options) for file in files), options.limit)
    columns = [options.video_key, options.image_key, options.audio_key, *options.suffixes]
    return joined(parts, [path, options.limit, *map(file_key, files), *columns], options.cache_folder)


def metadata_files(location: Path, options: SourceOptions) -> list[Path]:
    """The files with the metadata of a folder, or the file itself if it is one; only those with a column of names of media."""
    if not location.is_dir():
        return [location] if location.name in NAMES and _column(location, options) else []
    own = _metadata_file(location, options)
    inner = [] if own else [_metadata_file(location / name, options) for name in SPLITS]
    return [each for each in (own, *inner) if each]


def file_and_column(location: Path) -> tuple[Path, str]:
    """The first file with metadata, and its column of names of media.

    Raises:
        DataError: there is none.
    """
    options = SourceOptions()
    for file in metadata_files(location, options):
        if column := _column(file, options):
            return file, column
    raise DataError(f"{location} has no metadata. Give a folder with one of {', '.join(NAMES)}.")


def records(path: Path, options: SourceOptions, first_rows: FirstRows | None = None) -> Iterator[Record]:
    """The rows of one file, each with its medium's path; of Parquet those that `first_rows` gives.

    Raises:
        DataError: the file cannot be read.
    """
    column = _column(path, options)
    home = path.parent if path.name == VIDEOS else None
    for each in _reader(path, first_rows or FirstRows())(path):
        yield _with_paths(each, column, options, home)


def all_records(location: Path, options: SourceOptions, first_rows: FirstRows) -> Iterator[Record]:
    """The rows of all files of a folder with metadata, each with the folder that its paths are relative to.

    Raises:
        DataError: a file cannot be read.
    """
    for file in metadata_files(location, options):
        for each in records(file, options, first_rows):
            yield each._replace(folder=str(file.absolute().parent))


def _metadata_file(folder: Path, options: SourceOptions) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file() and _column(folder / name, options)), None)


def _opened(file: Path, options: SourceOptions) -> Dataset:
    """The dataset of one file."""
    from datasets import concatenate_datasets

    if not _is_parquet(file):
        return dataset_of_files(str(file), [file], partial(records, options=options), options)
    dataset, column = parquet.open_dataset(str(file), options), _column(file, options)
    kinds = dict.fromkeys(kind for paths in _added(dataset, column, options) for kind in paths) if column else ()
    if not (column and kinds):
        return dataset
    schema = features_of({**dict.fromkeys(kinds, "texts"), ORIGIN: ORIGIN_FEATURE}).arrow_schema
    fingerprint = fingerprint_of("metadata", dataset._fingerprint, column, list(kinds), options.suffixes)  # noqa: SLF001  (there is no public name for it)
    cached = cached_file(options.cache_folder, fingerprint)
    made = build_once(cached, fingerprint, lambda: write_arrow(cached, schema, _batches(dataset, column, schema, options)))
    return concatenate_datasets([dataset.remove_columns(ORIGIN), made], axis=1)


def _added(dataset: Dataset, column: str, options: SourceOptions) -> Iterator[dict[str, list[str]]]:
    """For each row of a table the paths of its medium, by the column of its kind, which the table lacks."""
    others = dict.fromkeys(dataset.column_names)
    for batch in dataset.select_columns([column]).iter(CHUNK):
        for named in batch[column]:
            values = _with_paths(Record("", "", {**others, column: named}), column, options).values
            yield {kind: paths for kind, paths in values.items() if kind not in others}


def _batches(dataset: Dataset, column: str, schema: pa.Schema, options: SourceOptions) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    kinds = [name for name in schema.names if name != ORIGIN]
    added = _added(dataset, column, options)
    for batch in dataset.select_columns([ORIGIN]).iter(CHUNK):
        rows = []
        for origin, paths in zip(batch[ORIGIN], added, strict=False):
            missing = [*origin["missing"], *(kind for kind in kinds if kind not in paths)]
            rows.append({**paths, ORIGIN: {**origin, "missing": missing}})
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _with_paths(record: Record, column: str | None, options: SourceOptions, home: Path | None = None) -> Record:
    """The record with the path of its medium in the column of that kind; `home` is the folder of a `VIDEOS`."""
    named = record.values.get(column) if column else None
    paths = [named] if isinstance(named, str) else named
    if not (paths and _are_texts(paths)):
        return record
    kind = options.media_column(without_fragment(paths[0])) or options.video_key
    if home:
        paths = [line_pairs.path_in(home, each) for each in paths]
    return record if kind in record.values else record._replace(values={**record.values, kind: paths})


def _reader(path: Path, first_rows: FirstRows) -> Callable[[Path], Iterator[Record]]:
    readers = {".csv": csv_table.records, ".json": json_list.records, ".jsonl": jsonl.records, ".parquet": first_rows.records}
    return readers[path.suffix]


def _is_parquet(path: Path) -> bool:
    return path.suffix == ".parquet"


def _column(path: Path, options: SourceOptions) -> str | None:
    """The column that holds names of media, as the first rows have it; None if there is none, or the file cannot be read."""
    try:
        return _column_once(path, FileState.of(path.stat()), options) if _is_parquet(path) else _column_of(path, options)
    except (DataError, OSError):
        return None


@functools.lru_cache(maxsize=64)
def _column_once(path: Path, state: FileState, options: SourceOptions) -> str | None:
    """As `_column_of`, of a file in a state: it takes a process to look into Parquet."""
    del state
    return _column_of(path, options)


def _column_of(path: Path, options: SourceOptions) -> str | None:
    rows = [each.values for each in itertools.islice(_reader(path, FirstRows())(path), _ROWS)]
    if any(COLUMN in row for row in rows):
        return COLUMN
    columns = dict.fromkeys(name for row in rows for name in row)
    return next((name for name in columns if any(_names_media(row.get(name), options) for row in rows)), None)


def _names_media(value: Any, options: SourceOptions) -> bool:
    texts = [value] if isinstance(value, str) else value
    return bool(texts) and _are_texts(texts) and all(options.media_column(without_fragment(each)) for each in texts)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)
