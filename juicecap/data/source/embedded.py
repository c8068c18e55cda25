"""The `Image`, `Video` and `Audio` features of `datasets`: columns that hold media as bytes, or their paths.

`datasets` would decode them whenever a row is read. Here they are never decoded: such a column becomes one of paths (or of
lists of paths), and bytes become files of their own (see `unpack`). A struct of exactly `bytes` and `path` is taken for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, BinaryIO

from juicecap.data.source.unpack import media_folder, put, suffix_of
from juicecap.data.table import chunks, fingerprint_of, made_once, write_arrow

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, Features

ROWS = 16
"""Rows of media that are in memory at a time."""


def without_media(features: Features) -> Features:
    """The features with text in place of media."""
    from datasets import Features, List, Value

    def of(feature: Any) -> Any:
        if _is_medium(feature):
            return Value("string")
        return List(Value("string")) if _is_list_of_media(feature) else feature

    return Features({name: of(feature) for name, feature in features.items()})


def media_columns(features: Features) -> list[str]:
    """The columns that hold media."""
    return [name for name, feature in features.items() if _is_medium(feature) or _is_list_of_media(feature)]


def with_paths(table: pa.Table, columns: Iterable[str], folder: Path, first: int) -> pa.Table:
    """The table with paths in place of the media in `columns`; its first row is row `first` of the dataset, from 1.

    Raises:
        EnvironmentFailure: a file cannot be written.
    """
    import pyarrow as pa

    for name in columns:
        values = [_paths(value, folder, f"{name}/{first + row}") for row, value in enumerate(table[name].to_pylist())]
        stored = table[name].type
        many = pa.types.is_list(stored) or pa.types.is_large_list(stored)
        paths = pa.array(values, pa.list_(pa.string()) if many else pa.string())
        table = table.set_column(table.column_names.index(name), name, paths)
    return table


def media_as_files(dataset: Dataset, fingerprint: str = "", cache: Path | None = None) -> Dataset:
    """The dataset with paths in place of its media, which are written to files; itself if it has none.

    The files are named by the fingerprint of what the dataset was made from, or by the dataset's own.

    Raises:
        EnvironmentFailure: a file cannot be written.
    """
    from datasets import Dataset, DatasetInfo, Features, concatenate_datasets
    from datasets.table import InMemoryTable

    columns = media_columns(dataset.features)
    if not columns:
        return dataset
    fingerprint = fingerprint_of(fingerprint or dataset._fingerprint, "media")  # noqa: SLF001  (there is no public name for it)
    folder = media_folder(cache, fingerprint)
    path = folder / "paths.arrow"
    features = without_media(dataset.select_columns(columns).features)

    def make() -> None:
        source = dataset.select_columns(columns).with_format("arrow")
        folder.mkdir(parents=True, exist_ok=True)
        write_arrow(path, features.arrow_schema, _batches(source, columns, folder, features))

    joined = concatenate_datasets([dataset.remove_columns(columns), made_once(path, fingerprint, make)], axis=1)
    order = Features({name: joined.features[name] for name in dataset.column_names})
    table = InMemoryTable(joined.data.table.select(list(order)))  # its buffers stay mapped; other tables keep their own order
    return Dataset(table, info=DatasetInfo(features=order), indices_table=joined._indices)  # noqa: SLF001  (datasets has no public name for it)


def _batches(source: Dataset, columns: list[str], folder: Path, features: Features) -> Iterator[pa.RecordBatch]:
    done = 1
    for numbers in chunks(range(len(source)), ROWS):
        table = source[numbers[0] : numbers[-1] + 1]
        yield from with_paths(table, columns, folder, done).cast(features.arrow_schema).combine_chunks().to_batches()
        done += len(numbers)


def _is_medium(feature: Any) -> bool:
    from datasets import Audio, Image, Value, Video

    if isinstance(feature, dict):
        binary = (Value("binary"), Value("large_binary"))
        return set(feature) == {"bytes", "path"} and feature["bytes"] in binary and feature["path"] == Value("string")
    return isinstance(feature, Audio | Image | Video)


def _is_list_of_media(feature: Any) -> bool:
    from datasets import LargeList, List

    return isinstance(feature, List | LargeList) and _is_medium(feature.feature)


def _write(data: bytes, stream: BinaryIO) -> None:
    stream.write(data)


def _paths(value: Any, folder: Path, name: str) -> Any:
    if isinstance(value, list):
        return [_path(each, folder, f"{name}-{number}") for number, each in enumerate(value)]
    return _path(value, folder, name)


def _path(value: Any, folder: Path, name: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    data, path = value.get("bytes"), value.get("path")
    if data is None:
        return path or None
    suffix = PurePath(path or "").suffix.lower()
    file = folder / f"{name}{suffix if suffix[1:].isalnum() else suffix_of(data)}"
    put(file, len(data), partial(_write, data))
    return str(file)
