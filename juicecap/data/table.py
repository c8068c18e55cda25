"""Arrow files in the cache folder, and the memory-mapped `Dataset` over one.

A file is named by the fingerprint of what went into it, so it is written once and found again; one that was damaged since is
written again. Records are read twice, to find the types and to write, and never held: memory does not grow with their number.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from juicecap.data.atomic import replacing
from juicecap.data.broken import BROKEN_FEATURE, Sound, broken_value, refuse_broken
from juicecap.data.checksum import seal, sound
from juicecap.data.columns import ORIGIN_FEATURE, Spec, features_of
from juicecap.data.exact_json import exact, to_text
from juicecap.data.infer import infer_columns
from juicecap.data.record import Record, reason_of, unreadable
from juicecap.errors import DataError
from juicecap.sample import BROKEN, ORIGIN

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

READER_VERSION = 3
"""Raise it when the same file would be read differently: old cache files are then left alone."""

CHUNK = 1000
"""Rows per Arrow batch, and so in memory at a time."""


def fingerprint_of(*ingredients: object) -> str:
    """A name for whatever is made of these ingredients (JSON values) by this version of the readers."""
    text = json.dumps([READER_VERSION, *ingredients])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def absolute(path: str | Path) -> Path:
    """The path from the root, without `..`; links are not followed, so that media are sought beside the link."""
    return Path(os.path.abspath(path))


def file_key(path: Path) -> list[object]:
    """What tells one state of a file from another: absolute path, number, size and times; the last cannot be set back."""
    try:
        state = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    return [str(absolute(path)), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]


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


def kept_arrow(path: Path, fingerprint: str) -> Dataset | None:
    """As `open_arrow`, for a file of an earlier run; None if there is none, or if it is damaged, which is said."""
    try:
        if sound(path):
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


def made_once(path: Path, fingerprint: str, make: Callable[[], None]) -> Dataset:
    """What an earlier run left at `path`, or else what `make` puts there with `write_arrow`."""
    dataset = kept_arrow(path, fingerprint)
    if dataset is None:
        make()
        dataset = open_arrow(path, fingerprint)
    return dataset


def write_arrow(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write an Arrow stream file, with its checksum, whole or not at all.

    Raises:
        DataError: it cannot be written there.
        EnvironmentFailure: the disk is full.
    """
    import pyarrow as pa

    with replacing(path, through_links=False) as stream:
        with pa.ipc.new_stream(stream, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        stream.flush()
        seal(Path(stream.name))


def dataset_of_records(
    read: Callable[[], Iterator[Record]],
    *,
    key: Callable[[], list[object]],
    folder: Path,
    empty: str,
    cache: Path | None,
    limit: int | None,
    keep_broken: bool,
) -> Dataset:
    """The `Dataset` of the first `limit` records, each with its `ORIGIN` against `folder`.

    `read` is called twice; `key` gives the ingredients of the fingerprint, before and after, so that a source that changes
    meanwhile is noticed. With `keep_broken` a record that cannot be read is a row without values whose reason stands in the
    column `BROKEN`, which is there only if there are such records.

    Raises:
        DataError: a record is broken, all are, the source changed, or there are no records (`empty` is the message).
    """
    before = key()
    fingerprint = fingerprint_of(before, limit)
    path = cached_file(cache, fingerprint)

    def make() -> None:
        records = Sound(itertools.islice(read(), limit))
        columns, count = infer_columns(records)
        records.refuse(others=count, keep=keep_broken)
        if not count:
            raise DataError(empty)
        hidden = {ORIGIN: ORIGIN_FEATURE, **({BROKEN: BROKEN_FEATURE} if records.broken else {})}
        schema = features_of({**columns, **hidden}).arrow_schema
        write_arrow(path, schema, _batches(itertools.islice(read(), limit), columns, folder, schema))
        if key() != before:
            path.unlink()
            raise DataError(f"{before[0]} changed while it was read. Run again when nothing writes to it.")

    dataset = made_once(path, fingerprint, make)
    if not keep_broken:
        refuse_broken(dataset)
    return dataset


def origin(identity: str, folder: str, missing: Iterable[str] = ()) -> dict[str, Any]:
    """A value of the hidden column."""
    return {"id": identity, "folder": folder, "missing": list(missing)}


def chunks(rows: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """The rows in lists of `size`, the last one shorter."""
    iterator = iter(rows)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _batches(records: Iterable[Record], columns: dict[str, Spec], folder: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for chunk in chunks(records):
        arrays = []
        for name, spec in columns.items():
            values = [record.values.get(name) for record in chunk]
            arrays.append(_array(list(map(to_text, values)) if spec == "json" else values, schema.field(name)))
        origins = [origin(record.id, str(folder), (name for name in columns if name not in record.values)) for record in chunk]
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
