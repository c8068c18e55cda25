"""A Parquet file, with its own types. It is copied batch by batch into an Arrow file, which can be memory-mapped.

Columns of the dictionary type (categories) become columns of their values, and media columns of paths (see `embedded`); the
other types stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.columns import ORIGIN_FEATURE, with_columns
from juicecap.data.record import reason_of
from juicecap.data.source.embedded import ROWS, media_columns, with_paths, without_media
from juicecap.data.source.options import Options
from juicecap.data.source.unpack import media_folder
from juicecap.data.source.with_origin import keeps_origin
from juicecap.data.table import (
    CHUNK,
    absolute,
    cached_file,
    file_key,
    fingerprint_of,
    made_once,
    origin,
    write_arrow,
)
from juicecap.errors import DataError
from juicecap.sample import ORIGIN

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, Features
    from pyarrow.parquet import ParquetFile


def open_dataset(path: str, options: Options) -> Dataset:
    """The dataset of a Parquet file; ids are row numbers from 1.

    Raises:
        DataError: the file is damaged, has no rows, or has columns that `datasets` cannot hold.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    place = Path(path)
    fingerprint = fingerprint_of(file_key(place), options.limit)
    cached = cached_file(options.cache_folder, fingerprint)

    def make() -> None:
        try:
            with ParquetFile(place) as file:
                _convert(file, place, cached, options.limit, media_folder(options.cache_folder, fingerprint))
        except (OSError, ValueError, KeyError, TypeError, NotImplementedError, pa.ArrowException) as error:
            raise DataError(f"{path} cannot be read as Parquet: {reason_of(error)}. Write the file again.") from error

    return made_once(cached, fingerprint, make)


def _convert(file: ParquetFile, path: Path, cached: Path, limit: int | None, media: Path) -> None:
    features = _features(file.schema_arrow, path)
    rows = min(file.metadata.num_rows, limit or file.metadata.num_rows)
    if not rows:
        raise DataError(f"{path} has no records. Give a file with at least one.")
    if not keeps_origin(features, str(path)):
        features = with_columns(features, {ORIGIN: ORIGIN_FEATURE})
    columns = media_columns(features)
    features = without_media(features)
    write_arrow(cached, features.arrow_schema, _batches(file, path, features, rows, columns, media))


def _features(schema: pa.Schema, path: Path) -> Features:
    import pyarrow as pa
    from datasets import Features

    for name in schema.names:
        if schema.names.count(name) > 1:
            raise DataError(f"{path}: two columns are named {name!r}. Rename one of them.")
    for at, field in enumerate(schema):
        if pa.types.is_dictionary(field.type):
            schema = schema.set(at, field.with_type(field.type.value_type))
    return Features.from_arrow_schema(schema)


def _batches(
    file: ParquetFile, path: Path, features: Features, rows: int, columns: Sequence[str], media: Path
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from datasets.table import table_cast

    schema = features.arrow_schema
    folder = str(absolute(path).parent)
    done = 0
    for batch in file.iter_batches(batch_size=ROWS if columns else CHUNK):
        table = with_paths(pa.Table.from_batches([batch]).slice(0, rows - done), columns, media, done + 1)
        if ORIGIN not in table.column_names:
            origins = [origin(f"{path.name}:{done + row + 1}", folder) for row in range(len(table))]
            table = table.append_column(ORIGIN, pa.array(origins, schema.field(ORIGIN).type))
        done += len(table)
        yield from table_cast(table, schema).combine_chunks().to_batches()
        if done >= rows:
            return
