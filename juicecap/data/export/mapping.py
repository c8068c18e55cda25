"""One JSON object: the first column has the keys, the second the values; of more columns the others make up an object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from juicecap.data.export.rows import json_text, samples, visible_columns
from juicecap.errors import DataError
from juicecap.sample import sample_name, short_repr

if TYPE_CHECKING:
    from datasets import Dataset


def write(dataset: Dataset, stream: BinaryIO) -> None:
    """Write all rows, a line each.

    Raises:
        DataError: a key is no text, or stands in two rows.
    """
    first, *others = visible_columns(dataset)
    keys: set[str] = set()
    before = b"{\n"
    for sample in samples(dataset):
        key = sample[first]
        if not isinstance(key, str) or key in keys:
            why = "is no text" if not isinstance(key, str) else "stands in two rows"
            raise DataError(f"{sample_name(sample)} cannot be a key: {short_repr(key)} in column {first!r} {why}")
        keys.add(key)
        value = sample[others[0]] if len(others) == 1 else {name: sample[name] for name in others}
        stream.write(before + f"{json_text(key, sample)}: {json_text(value, sample)}".encode())
        before = b",\n"
    stream.write(b"\n}\n" if keys else b"{}\n")


def count(path: Path) -> int:
    """The number of keys in the file."""
    read: Any = json.loads(path.read_bytes())
    return len(read)
