"""Adding the hidden column to a table that is there already, without copying the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from juicecap.data.broken import BROKEN_FEATURE
from juicecap.data.columns import ORIGIN_FEATURE, features_of, origin_features
from juicecap.data.compressed import Allowance
from juicecap.data.exact_json import exact
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.tables.embedded import media_as_files
from juicecap.data.table import (
    build_once,
    cached_file,
    chunks,
    fingerprint_of,
    origins,
    write_arrow,
)
from juicecap.errors import DataError
from juicecap.sample import BROKEN, FATE, ORIGIN

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, Features


def with_origin(dataset: Dataset, name: str, folder: str, key: Iterable[object], size: int, options: SourceOptions) -> Dataset:
    """The first `limit` rows of `dataset` with `ORIGIN`, which is kept if it is there; ids are `name:row`, rows from 1.

    Raises:
        DataError: the dataset has no rows, more than its `size` in bytes lets one expect, or uses a reserved name for something
            else.
    """
    from datasets import Dataset, DatasetInfo, concatenate_datasets

    if options.limit is not None and options.limit < len(dataset):
        dataset = dataset.select(range(options.limit))
    if not len(dataset):
        raise DataError(f"{name} has no records. Give a dataset with at least one.")
    fingerprint = fingerprint_of(*key, options.limit)
    dataset = media_as_files(dataset, fingerprint, options.media_home or options.cache_folder)
    if not keeps_origin(dataset.features, name):
        path = cached_file(options.cache_folder, fingerprint)
        batches = origin_batches(name, folder, len(dataset))
        allowance = Allowance(name, size, "give it in several parts")
        allowance.check(len(dataset) * (len(name) + len(folder)))
        made = build_once(path, fingerprint, lambda: write_arrow(path, origin_features().arrow_schema, batches, allowance))
        dataset = concatenate_datasets([dataset, made], axis=1)
    info = DatasetInfo(features=exact(dataset.features))
    return Dataset(dataset.data, info=info, indices_table=dataset._indices, fingerprint=fingerprint)  # noqa: SLF001  (datasets has no public name for it)


def keeps_origin(features: Features, name: str) -> bool:
    """Whether a table has `ORIGIN` from an earlier juicecap dataset.

    Raises:
        DataError: it uses a reserved name for something else.
    """
    for used, expected in features_of({ORIGIN: ORIGIN_FEATURE, BROKEN: BROKEN_FEATURE, FATE: "text"}).items():
        if used in features and (used == FATE or features[used] != expected):
            raise DataError(f"{name}: the column name {used!r} is reserved by juicecap. Rename that column.")
    return ORIGIN in features


def origin_batches(name: str, folder: str, rows: int) -> Iterator[pa.RecordBatch]:
    """`ORIGIN` alone, for that many rows of a table that lacks no value."""
    import pyarrow as pa

    schema = origin_features().arrow_schema
    for numbers in chunks(range(1, rows + 1)):
        yield pa.RecordBatch.from_arrays([origins(f"{name}:", numbers, folder, schema.field(ORIGIN).type)], schema=schema)
