"""A JSON file with one list of objects, an object per line. Keys as in `jsonl`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from juicecap.data.export.rows import json_text, samples
from juicecap.data.source.text import json_list
from juicecap.sample import visible

if TYPE_CHECKING:
    from datasets import Dataset


def write(dataset: Dataset, stream: BinaryIO) -> None:
    """Write all rows."""
    before = b"[\n"
    for sample in samples(dataset):
        stream.write(before + json_text(visible(sample), sample).encode())
        before = b",\n"
    stream.write(b"\n]\n" if before == b",\n" else b"[]\n")


def count(path: Path) -> int:
    """The number of rows in the file."""
    return sum(1 for _ in json_list.records(path))
