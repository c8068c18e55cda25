"""A Parquet file, with its own types. It is copied batch by batch into an Arrow file, which can be memory-mapped.

Columns of the dictionary type (categories) become columns of their values, and media columns of paths (see `embedded`); the
other types stay what they are. All that is done in a process with limits (see `foreign`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.columns import ORIGIN_FEATURE, with_columns
from juicecap.data.compressed import Allowance
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.tables.embedded import as_texts, bytes_columns, media_columns, raw_media, with_paths, without_media
from juicecap.data.source.tables.foreign import Refusal, foreign, in_child, settle_pyarrow
from juicecap.data.source.tables.row_check import RowCheck
from juicecap.data.source.tables.schema_check import check_schema, checked_features, described, features_of
from juicecap.data.source.unpack import MediaFolder, media_folder
from juicecap.data.source.with_origin import keeps_origin
from juicecap.data.table import (
    CHUNK,
    absolute,
    build_once,
    cached_file,
    file_key,
    fingerprint_of,
    origins,
    write_arrow,
)
from juicecap.errors import DataError
from juicecap.sample import ORIGIN

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from pyarrow.parquet import FileMetaData, ParquetFile

_LOOKED_AT = 16
"""Rows in which a column of bytes shows whether it holds media."""

LARGE = 1 << 25
"""Bytes at which a batch has fewer rows."""


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a Parquet file; ids are row numbers from 1.

    Raises:
        DataError: the file is damaged, has no rows, or has columns that `datasets` cannot hold.
    """
    file = Path(path)
    key = file_key(file)
    fingerprint = fingerprint_of(key, options.limit)
    cached = cached_file(options.cache_folder, fingerprint).absolute()
    media = media_folder(options.media_home or options.cache_folder, fingerprint)

    def make() -> None:
        refuse = refusal(path)
        with in_child(refuse, size=file.stat().st_size, cached=cached, beside=media) as call:
            files = {"path": path, "file": str(file.absolute()), "cached": str(cached), "media": str(media)}
            found = call(f"{__name__}:look", files)
            call(f"{__name__}:convert", {**files, **_plan(path, found, refuse), "limit": options.limit})
        if file_key(file) != key:
            cached.unlink(missing_ok=True)
            raise DataError(f"{path} changed while it was read. Run again when nothing writes to it.")

    dataset = build_once(cached, fingerprint, make)
    if not len(dataset):
        raise DataError(f"{path} has no records. Give a file with at least one.")
    return dataset


def look(argument: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a Parquet file, checked, and what it says of itself: what a child does first.

    Raises:
        DataError: the file is damaged, or has columns that no dataset can have.
    """
    settle_pyarrow()
    path, refuse = argument["path"], Refusal(*argument["refuse"])
    with _opened(argument["file"], refuse) as file, foreign(refuse):
        schema = _without_dictionaries(file.schema_arrow)
        check_schema(schema, path)
        found = {"schema": _packed(schema.remove_metadata()), "descriptions": described(schema, path)}
        return {**found, "raw": _raw_media(file, refuse)}


def _raw_media(file: ParquetFile, refuse: Refusal) -> list[str]:
    """The columns of bytes that hold media, as the first rows have them."""
    names = bytes_columns(file.schema_arrow)
    size = min(_LOOKED_AT, _rows_at_once(file.metadata))
    batch = next(file.iter_batches(batch_size=size, columns=names, use_threads=False), None) if names else None
    if batch is None:
        return []
    RowCheck(batch.schema, refuse).check(batch)
    return raw_media(batch)


def _plan(path: str, found: Mapping[str, Any], refuse: Refusal) -> dict[str, Any]:
    """What a child is to make of the file."""
    features = features_of(_unpacked(found["schema"]), checked_features(found["descriptions"], path), refuse)
    if not keeps_origin(features, path):
        features = with_columns(features, {ORIGIN: ORIGIN_FEATURE})
    raw = [name for name in found["raw"] if name in features]
    columns = {**media_columns(features), **{name: list(features).index(name) for name in raw}}
    return {"columns": columns, "schema": _packed(as_texts(without_media(features), raw).arrow_schema)}


def convert(argument: Mapping[str, Any]) -> None:
    """Write the Arrow file and the media of a Parquet file: what a child does then.

    Raises:
        DataError: the file is damaged, has no rows, or unpacks to more than its size lets one expect.
        EnvironmentFailure: the disk is full.
    """
    path, limit, owner = argument["path"], argument["limit"], argument["owner"]
    refuse, schema = Refusal(*argument["refuse"]), _unpacked(argument["schema"])
    allowance = Allowance(path, Path(argument["file"]).stat().st_size, "write it as several files")
    with (
        _opened(argument["file"], refuse) as file,
        MediaFolder(Path(argument["media"]), owner=owner, allowance=allowance) as media,
    ):
        with foreign(refuse):
            row_count, names = file.metadata.num_rows, file.schema_arrow.names
        if row_count <= 0:
            raise DataError(f"{path} has no records. Give a file with at least one.")
        if ORIGIN not in names:
            allowance.check(min(row_count, limit or row_count) * _bytes_of_origin(argument["file"]))
        batches = _batches(file, argument["file"], schema, row_count, limit, argument["columns"], media, refuse)
        write_arrow(Path(argument["cached"]), schema, batches, allowance, owner)


def _opened(path: str, refuse: Refusal) -> ParquetFile:
    from pyarrow.parquet import ParquetFile

    with foreign(refuse):
        return ParquetFile(path, memory_map=True)


def refusal(path: str | Path) -> Refusal:
    """Makes the error about a file that is damaged."""
    return Refusal(f"{path} cannot be read as Parquet: ", ". Write the file again.")


def _without_dictionaries(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    for at, field in enumerate(schema):
        if pa.types.is_dictionary(field.type):
            schema = schema.set(at, field.with_type(field.type.value_type))
    return schema


def _packed(schema: pa.Schema) -> str:
    """A schema on its way between the processes."""
    return base64.b64encode(schema.serialize().to_pybytes()).decode()


def _unpacked(text: str) -> pa.Schema:
    import pyarrow as pa

    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def _bytes_of_origin(path: str) -> int:
    """Bytes at least of the column that is added, for each row."""
    return len(Path(path).name) + len(str(absolute(path).parent)) + 16


def _rows_at_once(metadata: FileMetaData) -> int:
    """The number of rows that keeps a batch small, according to the file's metadata."""
    most = 1
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        most = max(most, group.total_byte_size // max(1, group.num_rows))
    return max(1, min(CHUNK, LARGE // most))


def _batches(
    file: ParquetFile,
    path: str,
    schema: pa.Schema,
    row_count: int,
    limit: int | None,
    columns: Mapping[str, int],
    media: MediaFolder,
    refuse: Refusal,
) -> Iterator[pa.RecordBatch]:
    """The batches of the file, each looked at, then in the types of `schema` and with paths in place of media."""
    import pyarrow as pa

    name, folder = Path(path).name, str(absolute(path).parent)
    with foreign(refuse):
        batches = file.iter_batches(batch_size=_rows_at_once(file.metadata), use_threads=False)
        checked = RowCheck(file.schema_arrow, refuse)
    done = 0
    while limit is None or done < limit:
        with foreign(refuse):
            batch = next(batches, None)
        if done + (0 if batch is None else len(batch)) > row_count or (batch is None and done < row_count):
            raise refuse(f"it does not have the {row_count:,} rows that it tells of")
        if batch is None:
            return
        batch = batch if limit is None else batch.slice(0, limit - done)
        with foreign(refuse):
            checked.check(batch)
        table = with_paths(pa.Table.from_batches([batch]), columns, media, done + 1)
        if ORIGIN not in table.column_names:
            numbers = range(done + 1, done + len(table) + 1)
            table = table.append_column(ORIGIN, origins(f"{name}:", numbers, folder, schema.field(ORIGIN).type))
        done += len(table)
        with foreign(refuse):
            cast = table.cast(schema).combine_chunks()
        yield from cast.to_batches()
