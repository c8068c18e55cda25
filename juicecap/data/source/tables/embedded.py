"""The `Image`, `Video` and `Audio` features of `datasets`: columns that hold media as bytes, or their paths.

`datasets` would decode them whenever a row is read. Here they are never decoded: such a column becomes one of paths (or of
lists of paths), and bytes become files of their own (see `unpack`). A struct of exactly `bytes` and `path` is taken for one.

The files are named by numbers (of the column, of the row, in the list) and have a suffix that this file knows: no name that
stands in the data is a part of a path.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import xxhash

from juicecap.data.compressed import PIECE
from juicecap.data.source.options import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES
from juicecap.data.source.unpack import MediaFolder, media_folder, suffix_of
from juicecap.data.table import build_once, chunks, file_key, fingerprint_of, write_arrow
from juicecap.signatures import HEAD, kind_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, Features

ROWS = 16
"""Rows of media that are looked at together."""

SUFFIXES = frozenset((*AUDIO_SUFFIXES, *IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
"""Suffixes that a file keeps."""


def without_media(features: Features) -> Features:
    """The features with text in place of media."""
    from datasets import Features, List, Value

    def of(feature: Any) -> Any:
        if _is_medium(feature):
            return Value("string")
        return List(Value("string")) if _is_list_of_media(feature) else feature

    return Features({name: of(feature) for name, feature in features.items()})


def media_columns(features: Features) -> dict[str, int]:
    """The columns that hold media, with their numbers."""
    return {
        name: number
        for number, (name, feature) in enumerate(features.items())
        if _is_medium(feature) or _is_list_of_media(feature)
    }


def bytes_columns(schema: pa.Schema) -> list[str]:
    """The columns of bytes, or of lists of them."""
    from pyarrow import types

    def inner(type_: pa.DataType) -> pa.DataType:
        return type_.value_type if types.is_list(type_) or types.is_large_list(type_) else type_

    return [field.name for field in schema if types.is_binary(inner(field.type)) or types.is_large_binary(inner(field.type))]


def raw_media(batch: pa.RecordBatch) -> list[str]:
    """Those of such columns whose first value starts with the first bytes of a picture, a video or a sound."""
    import pyarrow as pa

    found = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        values = column.flatten() if isinstance(column, pa.ListArray | pa.LargeListArray) else column
        first = next((value for value in values if value.is_valid), None)
        if first is not None and _is_of_a_medium(bytes(memoryview(first.as_buffer())[:HEAD])):
            found.append(name)
    return found


def _is_of_a_medium(head: bytes) -> bool:
    kind = kind_of(head)
    return kind is not None and (kind.holds != "other" or kind.suffix in AUDIO_SUFFIXES)


def as_texts(features: Features, names: Collection[str]) -> Features:
    """The features with paths in place of bytes in the columns `names`."""
    from datasets import Features, LargeList, List, Value

    def of(feature: Any) -> Any:
        return List(Value("string")) if isinstance(feature, List | LargeList) else Value("string")

    return Features({name: of(feature) if name in names else feature for name, feature in features.items()})


def with_paths(table: pa.Table, columns: Mapping[str, int], media: MediaFolder, first: int) -> pa.Table:
    """The table with paths in place of the media in `columns`; its first row is row `first` of the dataset, from 1.

    Raises:
        EnvironmentFailure: a file cannot be written.
    """
    import pyarrow as pa

    for name, number in columns.items():
        values = [_paths(value, media, f"{number}/{first + row}") for row, value in enumerate(table[name])]
        stored = table[name].type
        many = pa.types.is_list(stored) or pa.types.is_large_list(stored) or pa.types.is_fixed_size_list(stored)
        paths = pa.array(values, pa.list_(pa.string()) if many else pa.string())
        table = table.set_column(table.column_names.index(name), name, paths)
    return table


def media_as_files(dataset: Dataset, fingerprint: str = "", cache: Path | None = None) -> Dataset:
    """The dataset with paths in place of its media, which are written to files; itself if it has none.

    The files are named by the fingerprint of what the dataset was made from, or else by the dataset's own and by its data: a
    folder of others can say of itself that its fingerprint is that of another dataset.

    Raises:
        EnvironmentFailure: a file cannot be written.
    """
    from datasets import Dataset, DatasetInfo, Features, concatenate_datasets
    from datasets.table import InMemoryTable

    numbers = media_columns(dataset.features)
    columns = list(numbers)
    if not columns:
        return dataset
    fingerprint = fingerprint_of(fingerprint or _state(dataset, columns), "media")
    folder = media_folder(cache, fingerprint)
    path = folder / "paths.arrow"
    features = without_media(dataset.select_columns(columns).features)

    def make() -> None:
        source = dataset.select_columns(columns).with_format("arrow")
        with MediaFolder(folder) as media:
            write_arrow(path, features.arrow_schema, _batches(source, numbers, media, features))

    joined = concatenate_datasets([dataset.remove_columns(columns), build_once(path, fingerprint, make)], axis=1)
    order = Features({name: joined.features[name] for name in dataset.column_names})
    table = InMemoryTable(joined.data.table.select(list(order)))  # its buffers stay mapped; other tables keep their own order
    return Dataset(table, info=DatasetInfo(features=order), indices_table=joined._indices)  # noqa: SLF001  (datasets has no public name for it)


def _state(dataset: Dataset, columns: list[str]) -> list[object]:
    """What tells a dataset from any other: where its files are and how they stand, or what it holds if it has none."""
    own = [dataset._fingerprint, len(dataset)]  # noqa: SLF001  (there is no public name for it)
    if dataset.cache_files:
        return [*own, *(file_key(Path(file["filename"])) for file in dataset.cache_files)]
    content = xxhash.xxh3_128()
    for batch in dataset.data.table.select(columns).to_batches():
        content.update(memoryview(batch.serialize()))
    return [*own, content.hexdigest()]


def _batches(source: Dataset, columns: Mapping[str, int], media: MediaFolder, features: Features) -> Iterator[pa.RecordBatch]:
    done = 1
    for numbers in chunks(range(len(source)), ROWS):
        table = source[numbers[0] : numbers[-1] + 1]
        yield from with_paths(table, columns, media, done).cast(features.arrow_schema).combine_chunks().to_batches()
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


def _paths(value: pa.Scalar, media: MediaFolder, name: str) -> Any:
    """The path, or the list of paths, for a scalar of Arrow."""
    import pyarrow as pa

    if isinstance(value, pa.ListScalar):
        inner = () if value.values is None else value.values
        return [_path(each, media, f"{name}-{number}") for number, each in enumerate(inner)] if value.is_valid else None
    return _path(value, media, name)


def _path(value: pa.Scalar, media: MediaFolder, name: str) -> str | None:
    """Bytes are written from where they lie, without a copy: a row may hold hundreds of megabytes."""
    import pyarrow as pa

    stored, path = value, None
    if value.is_valid and isinstance(value, pa.StructScalar):
        stored, path = value["bytes"], value["path"].as_py()
    elif not value.is_valid or not (pa.types.is_binary(value.type) or pa.types.is_large_binary(value.type)):
        text: str | None = value.as_py()
        return text
    if not stored.is_valid:
        return path or None
    data = memoryview(stored.as_buffer())
    suffix = PurePath(path or "").suffix.lower()
    name = f"{name}{suffix if suffix in SUFFIXES else suffix_of(bytes(data[:HEAD]))}"
    media.put(name, len(data), (data[start : start + PIECE] for start in range(0, len(data), PIECE)))
    return str(media.path / name)
