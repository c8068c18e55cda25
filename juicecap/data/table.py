"""Arrow files in the cache folder, and the memory-mapped `Dataset` over one.

A file is named by the fingerprint of what went into it, so it is written once and found again; one that was damaged since is
written again. Records are read twice, to find the types and to write, and never held: memory does not grow with their number.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import marshal
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from juicecap.data.broken import BROKEN_FEATURE, ReadableRecords, broken_value, refuse_broken
from juicecap.data.columns import ORIGIN_FEATURE, Spec, features_of
from juicecap.data.compressed import Allowance
from juicecap.data.exact_json import exact, to_text
from juicecap.data.infer import infer_columns
from juicecap.data.record import Record, unreadable
from juicecap.data.writing.atomic import replacing
from juicecap.data.writing.checksum import append_checksum, verify_checksum
from juicecap.errors import DataError
from juicecap.file_state import FileState
from juicecap.sample import BROKEN, ORIGIN
from juicecap.text import reason_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

READER_VERSION = 5
"""Part of each fingerprint. Increase it when the same file would be read differently, so that old cache files are not used."""

CHUNK = 1000
"""Rows per Arrow batch, and so in memory at a time."""

HEAVY = 1 << 23
"""Bytes, as `marshal` counts them, at which a batch has fewer rows; small values take some ten times as many in Python."""


def fingerprint_of(*ingredients: object) -> str:
    """A name for whatever is made of these ingredients (JSON values) by this version of the readers."""
    text = json.dumps([READER_VERSION, *ingredients])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def absolute(path: str | Path) -> Path:
    """The path from the root, without `..`; links are not followed, so that media are sought beside the link."""
    return Path(os.path.abspath(path))


def file_key(path: Path) -> list[object]:
    """What tells one state of a file from another: its absolute path and its `FileState`."""
    try:
        return [str(absolute(path)), *FileState.of(path.stat())]
    except OSError as error:
        raise unreadable(path, error) from error


def cached_file(folder: Path | None, fingerprint: str) -> Path:
    """Where the Arrow file of a fingerprint belongs: in `folder`, by default in that of `datasets`."""
    if folder is None:
        from datasets import config

        folder = Path(config.HF_DATASETS_CACHE) / "juicecap"
    return folder / f"{fingerprint}.arrow"


def open_arrow(path: Path, fingerprint: str) -> Dataset:
    """The memory-mapped `Dataset` over an Arrow stream file, its JSON columns exact (see `exact_json`).

    Raises:
        DataError: the file cannot be read.
    """
    import pyarrow as pa
    from datasets import Dataset, DatasetInfo, Features
    from datasets.table import MemoryMappedTable

    try:
        table = MemoryMappedTable.from_file(str(path))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} is damaged: {reason_of(error)}. Delete it and run again.") from error
    info = DatasetInfo(features=exact(Features.from_arrow_schema(table.schema)))
    return Dataset(table, info=info, fingerprint=fingerprint)


def open_cached(path: Path, fingerprint: str) -> Dataset | None:
    """As `open_arrow`, for a file of an earlier run; None if there is none, or if it is damaged, which is logged."""
    try:
        if verify_checksum(path):
            return open_arrow(path, fingerprint)
        damage = "its checksum is not that of its content"
    except FileNotFoundError:
        return None
    except OSError as error:
        damage = error.strerror or reason_of(error)
    except DataError as error:
        damage = reason_of(error)
    logger.warning("{} is damaged ({}), so it is made again", path, damage)
    return None


def build_once(path: Path, fingerprint: str, make: Callable[[], None]) -> Dataset:
    """The dataset that an earlier run left at `path`, or else the one that `make` writes there with `write_arrow`."""
    dataset = open_cached(path, fingerprint)
    if dataset is None:
        make()
        dataset = open_arrow(path, fingerprint)
    return dataset


def write_arrow(
    path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], allowance: Allowance | None = None, owner: str = ""
) -> None:
    """Write an Arrow stream file, with its checksum, whole or not at all. `owner` as for `replacing`.

    Raises:
        DataError: it cannot be written there, or is larger than `allowance` has room for.
        EnvironmentFailure: the disk is full.
    """
    import pyarrow as pa

    with replacing(path, owner, through_links=False) as stream:
        with pa.ipc.new_stream(stream, schema) as writer:
            for batch in batches:
                if allowance:
                    allowance.take(batch.nbytes)
                writer.write_batch(batch)
        stream.flush()
        append_checksum(Path(stream.name))


def dataset_of_records(
    read: Callable[[], Iterator[Record]],
    *,
    key: Callable[[], list[object]],
    unpack: Callable[[], Iterator[Record]] | None = None,
    size: Callable[[], int] | None = None,
    folder: Path,
    empty: str,
    cache: Path | None,
    limit: int | None,
    keep_broken: bool,
) -> Dataset:
    """The `Dataset` of the first `limit` records, each with its `ORIGIN` against `folder`.

    `read` is called twice, or once, and then `unpack`, which gives the same and writes media on the way. `key` gives the
    ingredients of the fingerprint, before and after, so that a source that changes meanwhile is noticed; `size` its bytes. With
    `keep_broken` a record that cannot be read is a row without values whose reason stands in the column `BROKEN`, which is there
    only if there are such records.

    Raises:
        DataError: a record is broken, all are, the source changed or unpacks to more than its size lets one expect, or there are
            no records (`empty` is the message).
    """
    before = key()
    fingerprint = fingerprint_of(before, limit)
    path = cached_file(cache, fingerprint)

    def make() -> None:
        records = ReadableRecords(itertools.islice(read(), limit))
        columns, count = infer_columns(records)
        records.refuse(others=count, keep=keep_broken)
        if not count:
            raise DataError(empty)
        hidden = {ORIGIN: ORIGIN_FEATURE, **({BROKEN: BROKEN_FEATURE} if records.broken else {})}
        schema = features_of({**columns, **hidden}).arrow_schema
        allowance = Allowance(str(before[0]), size(), "give it in several files") if size else None
        rows = itertools.islice((unpack or read)(), limit)
        write_arrow(path, schema, _batches(rows, columns, folder, schema), allowance)
        if key() != before:
            path.unlink()
            raise DataError(f"{before[0]} changed while it was read. Run again when nothing writes to it.")

    dataset = build_once(path, fingerprint, make)
    if not keep_broken:
        refuse_broken(dataset)
    return dataset


def origin(identity: str, folder: str, missing: Iterable[str] = ()) -> dict[str, Any]:
    """A value of the hidden column."""
    return {"id": identity, "folder": folder, "missing": list(missing)}


def origins(prefix: str, numbers: Iterable[int], folder: str, type_: pa.DataType) -> pa.Array:
    """Values of the hidden column, of type `type_`, for rows of a table that lacks no value: their ids are prefix and number."""
    import pyarrow as pa

    ids = [f"{prefix}{number}" for number in numbers]
    missing = pa.ListArray.from_arrays(pa.array([0] * (len(ids) + 1), pa.int32()), pa.array([], pa.string()))
    return pa.StructArray.from_arrays([pa.array(ids, pa.string()), pa.repeat(folder, len(ids)), missing], fields=list(type_))


def chunks(rows: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """The rows in lists of `size`, the last one shorter."""
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def rows_at_once(dataset: Dataset) -> int:
    """How many rows to have in memory at a time: `CHUNK`, or fewer where they are heavy on the average."""
    mean: int = dataset.data.nbytes // max(1, len(dataset.data))
    return max(1, min(CHUNK, HEAVY // max(1, mean)))


def _portions(records: Iterable[Record], columns: Iterable[str]) -> Iterator[list[Record]]:
    """As `chunks`, of fewer rows where they are heavy. A row also holds the names of the columns that it lacks."""
    names = sum(len(name) + 10 for name in columns)
    portion: list[Record] = []
    weight = 0
    for record in records:
        portion.append(record)
        weight += names + len(marshal.dumps(record.values))
        if len(portion) == CHUNK or weight > HEAVY:
            yield portion
            portion, weight = [], 0
    if portion:
        yield portion


def _batches(records: Iterable[Record], columns: dict[str, Spec], folder: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for chunk in _portions(records, columns):
        arrays = []
        for name, spec in columns.items():
            values = [record.values.get(name) for record in chunk]
            arrays.append(_array(list(map(to_text, values)) if spec == "json" else values, schema.field(name)))
        origins = [
            origin(record.id, record.folder or str(folder), (name for name in columns if name not in record.values))
            for record in chunk
        ]
        arrays.append(pa.array(origins, schema.field(ORIGIN).type))
        if BROKEN in schema.names:
            arrays.append(_array(list(map(broken_value, chunk)), schema.field(BROKEN)))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: list[Any], field: pa.Field) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        # The types were found in these same records a moment ago.
        raise DataError(
            f"column {field.name!r} changed while it was read. Run again when nothing writes to the source."
        ) from error
