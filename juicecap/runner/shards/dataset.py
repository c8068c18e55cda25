"""The dataset of all shards: `shards/dataset.json` says what it is, so that no shard works on another.

Its types, count and digest are those of the whole, after `--limit`, with the records that cannot be read. The first shard writes
the file, whole or not at all, each later one compares, and a merge compares what the shards noted. Folders and times, which
differ from machine to machine, do not count.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.table import CHUNK
from juicecap.data.writing.atomic import replacing
from juicecap.errors import DataError
from juicecap.plain import read_plain
from juicecap.recipe.work_dir import LARGEST
from juicecap.runner.shards.conditions import differences
from juicecap.sample import BROKEN, HIDDEN, ORIGIN

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

FILE = "dataset.json"


def facts_of(everything: Dataset, limit: int | None) -> dict[str, Any]:
    """What the dataset is: limit, number of records, columns with their types, and a digest of the values."""
    columns = {name: repr(feature) for name, feature in everything.features.items() if name not in HIDDEN}
    return {"limit": limit, "records": len(everything), "columns": columns, "digest": _digest(everything)}


def agree(folder: Path, facts: dict[str, Any]) -> None:
    """Write the facts into the folder of the shards, unless they are there. The caller holds a lock, where there are any.

    Raises:
        DataError: others are there; or they cannot be written.
        EnvironmentFailure: the disk is full.
    """
    file = folder / FILE
    if not os.path.lexists(file):
        with replacing(file, through_links=False) as stream:
            stream.write(json.dumps(facts, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
    there = read_facts(folder)
    if there is None:
        raise DataError(f"{file} cannot be read; remove it, and run again")
    if told := differences({"dataset": facts}, {"dataset": there}):
        raise DataError(
            f"this is not the dataset that the other shards work on, by {file}: there it has {'; '.join(told)}. Run all shards "
            "with the same dataset and --limit; to begin anew with this one, remove that file (nothing is asked again)"
        )


def read_facts(folder: Path) -> dict[str, Any] | None:
    """The facts in the folder of the shards; None if there are none that can be read."""
    try:
        facts = json.loads(read_plain(folder / FILE, LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def _digest(everything: Dataset) -> str:
    hashed = hashlib.blake2b(digest_size=16)
    for batch in _batches(everything):
        hashed.update(batch.serialize())
    return hashed.hexdigest()


def _batches(everything: Dataset) -> Iterator[pa.RecordBatch]:
    """The values in batches of equal size, without what differs from machine to machine."""
    import pyarrow as pa
    from pyarrow import compute

    for table in everything.with_format("arrow").iter(CHUNK):
        origins = table[ORIGIN].combine_chunks()
        arrays = {name: table[name].combine_chunks() for name in table.column_names if name not in HIDDEN}
        arrays |= {f"{ORIGIN} {part}": compute.struct_field(origins, part) for part in ("id", "missing")}
        if BROKEN in table.column_names:
            arrays[BROKEN] = compute.is_valid(table[BROKEN].combine_chunks())
        yield pa.RecordBatch.from_arrays([pa.concat_arrays([each]) for each in arrays.values()], names=list(arrays))
