"""One text in a line: the only column of a table. Line breaks in a text become a space, and null an empty line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from juicecap.data.export.rows import json_text, samples, visible_columns
from juicecap.data.export.writers.texts import one_line

if TYPE_CHECKING:
    from datasets import Dataset


def write(dataset: Dataset, stream: BinaryIO) -> None:
    """Write all rows."""
    (column,) = visible_columns(dataset)
    for sample in samples(dataset):
        value = sample[column]
        text = value if isinstance(value, str) else "" if value is None else json_text(value, sample)
        stream.write(one_line(text).encode() + b"\n")


def count(path: Path) -> int:
    """The number of lines in the file, as a reader sees them that knows every kind of line break."""
    return len(path.read_text(encoding="utf-8").splitlines())
