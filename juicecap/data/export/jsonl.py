"""JSON Lines: one object per line. A key that the source record did not have is left out unless it was filled; null is null."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from juicecap.data.export.rows import json_text, samples
from juicecap.sample import visible

if TYPE_CHECKING:
    from datasets import Dataset


def write(dataset: Dataset, stream: BinaryIO) -> None:
    """Write all rows."""
    stream.writelines(json_text(visible(sample), sample).encode() + b"\n" for sample in samples(dataset))


def count(path: Path) -> int:
    """The number of rows in the file."""
    with path.open("rb") as stream:
        return sum(line.endswith(b"}\n") for line in stream)
