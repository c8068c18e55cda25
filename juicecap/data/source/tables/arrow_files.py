"""Arrow files that `datasets` wrote (in a saved folder, in its cache), used where they lie.

They are memory-mapped, so whatever they hold is read in this process. Hence a child reads them first (see `foreign`), and those
rows in full that are going to be used; what it found is kept beside the Arrow files of the cache, by the state of the files. They
must be as `datasets` writes them, without compression and dictionaries: what unpacks itself when it is mapped is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.compressed import Allowance
from juicecap.data.source.tables.foreign import Refusal, foreign, in_child, settle_pyarrow
from juicecap.data.source.tables.row_check import RowCheck, bytes_of
from juicecap.data.source.tables.schema_check import check_schema, checked_features, described, features_of
from juicecap.data.source.with_origin import keeps_origin
from juicecap.data.table import cached_file, file_key, fingerprint_of
from juicecap.data.writing.atomic import replacing
from juicecap.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

ROW = 16
"""Bytes that a row takes at least, once it has its hidden column."""

_SLACK = 1 << 20
"""Bytes that pyarrow takes for itself while it maps a file."""


def dataset_of_files(
    files: Sequence[Path],
    features: Mapping[str, Any] | None,
    *,
    name: str,
    limit: int | None,
    cache: Path | None,
    refuse: Refusal,
) -> Dataset:
    """The dataset of Arrow files with one schema, memory-mapped, of which the first `limit` rows may be used.

    `features` describes the columns if the files do not; `name` is for messages, and `refuse` makes an error from a reason.

    Raises:
        DataError: a file is damaged, or there are no rows.
        EnvironmentFailure: no process can be started.
    """
    states = [file_key(file) for file in files]
    kept = cached_file(cache, fingerprint_of("arrow files", states, features, limit)).with_suffix(".checked.json")
    verdict = _kept(kept)
    found = verdict or _found(files, features, name, limit, kept, refuse)
    if not found["rows"]:
        raise DataError(f"{name} has no records. Give a dataset with at least one.")
    dataset = _mapped(files, found["features"], name, refuse, strict=features is not None)
    if [file_key(file) for file in files] != states:
        raise DataError(f"{name} changed while it was read. Run again when nothing writes to it.")
    if verdict is None:
        with replacing(kept) as stream:
            stream.write(json.dumps(found).encode())
    return dataset


def _kept(verdict: Path) -> dict[str, Any] | None:
    """What an earlier run found out about the files; None if there is none, or none that can be read."""
    with suppress(OSError, ValueError, RecursionError, KeyError, TypeError):
        found = json.loads(verdict.read_text(encoding="utf-8"))
        return {"rows": int(found["rows"]), "features": dict(found["features"])}
    return None


def _found(
    files: Sequence[Path], features: Mapping[str, Any] | None, name: str, limit: int | None, kept: Path, refuse: Refusal
) -> dict[str, Any]:
    """What a child finds out about the files: their rows and their features."""
    argument = {"files": [str(file.absolute()) for file in files], "features": features, "name": name, "limit": limit}
    with in_child(refuse, size=sum(file.stat().st_size for file in files), cached=kept) as call:
        found: dict[str, Any] = call(f"{__name__}:check", argument)
    return found


def check(argument: Mapping[str, Any]) -> dict[str, Any]:
    """Read the files and return what they hold; runs in a child.

    Raises:
        DataError: they are damaged.
    """
    import pyarrow as pa

    settle_pyarrow()
    name, files, limit = argument["name"], [Path(file) for file in argument["files"]], argument["limit"]
    refuse = Refusal(*argument["refuse"])
    rows = 0
    allowance = Allowance(name, sum(file.stat().st_size for file in files), "give it in several parts")
    first: pa.Schema | None = None
    for file in files:
        with foreign(refuse):
            reader = pa.ipc.open_stream(pa.memory_map(str(file)))
            schema = reader.schema
            if first is None:
                check_schema(schema, name)
                _refuse_dictionaries(schema, refuse)
                first, checked = schema, RowCheck(schema, refuse)
            elif not schema.remove_metadata().equals(first.remove_metadata(), check_metadata=True):
                raise refuse("its files do not have the same columns")
            rows += _checked_file(reader, file, checked, None if limit is None else limit - rows, refuse)
            allowance.check(rows * ROW)
    features = argument["features"]
    if features is not None:
        features = checked_features(features, name)
    elif first is not None:
        features = described(first, name)
    return {"rows": rows, "features": features or {}}


def _checked_file(reader: pa.RecordBatchReader, file: Path, checked: RowCheck, limit: int | None, refuse: Refusal) -> int:
    """Look at all batches of a file, and into those that hold the first `limit` rows; returns how many rows there are."""
    import pyarrow as pa

    rows = claimed = 0
    size = file.stat().st_size
    before = pa.total_allocated_bytes()
    for batch in reader:
        if pa.total_allocated_bytes() - before > _SLACK:
            raise refuse("it is compressed, which Dataset.save_to_disk does not do")
        if len(batch) * ROW > Allowance(str(file), size).most:
            raise refuse(f"it claims {len(batch):,} rows in {size:,} bytes")
        if limit is None or rows < limit:
            used = batch if limit is None else batch.slice(0, limit - rows)
            checked.check(used)
            claimed += bytes_of(used)
        if claimed > size + _SLACK:
            raise refuse("its columns share bytes, which makes it far larger than its file")
        rows += len(batch)
    return rows


def _refuse_dictionaries(schema: pa.Schema, refuse: Refusal) -> None:
    import pyarrow as pa

    for field in schema:
        if pa.types.is_dictionary(field.type):
            raise refuse(f"the column {field.name!r} is a dictionary, which Dataset.save_to_disk does not write")


def _mapped(files: Iterable[Path], descriptions: Mapping[str, Any], name: str, refuse: Refusal, *, strict: bool) -> Dataset:
    """The dataset of files that passed. What their schemas say of themselves is left out: `datasets` would act on it."""
    from datasets import Dataset, DatasetInfo
    from datasets.table import MemoryMappedTable, concat_tables

    with foreign(refuse):
        tables = [MemoryMappedTable.from_file(str(file)) for file in files]
        table = concat_tables([each.replace_schema_metadata(None) for each in tables])
        features = features_of(table.schema, checked_features(dict(descriptions), name), refuse, strict=strict)
        keeps_origin(features, name)
        fingerprint = fingerprint_of("mapped")  # the caller gives it one that says more
        return Dataset(table, info=DatasetInfo(features=features), fingerprint=fingerprint)
