"""CSV with a header (RFC 4180: lines end with CR LF). Lists, dicts, true and false are JSON text; null is an empty cell.

So null, a missing key and an empty text look alike in it; the JSON formats and Parquet tell null from empty.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from juicecap.data.export.rows import json_text, samples, visible_columns
from juicecap.data.record import LONGEST
from juicecap.sample import Sample

if TYPE_CHECKING:
    from datasets import Dataset


def write(dataset: Dataset, stream: BinaryIO) -> None:
    """Write the header and all rows."""
    columns = visible_columns(dataset)
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text)
        writer.writerow(columns)
        for sample in samples(dataset):
            writer.writerow([_cell(sample[name], sample) for name in columns])
    finally:
        text.detach()


def count(path: Path) -> int:
    """The number of rows in the file, without the header."""
    csv.field_size_limit(LONGEST)
    with path.open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.reader(stream, strict=True)) - 1


def _cell(value: Any, sample: Sample) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json_text(value, sample)
