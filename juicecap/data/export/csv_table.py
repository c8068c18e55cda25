"""CSV with a header (RFC 4180: lines end with CR LF). Lists, dicts, true and false are JSON text; null is an empty cell.

So null, a missing key and an empty text look alike; the JSON formats and Parquet distinguish null from empty.

A spreadsheet takes a cell that begins with one of `FORMULA` for a formula, and a formula may send the other cells somewhere or
start a program. In `ESCAPING` such texts, and names of columns, have an apostrophe in front, by which spreadsheets know a text
(https://owasp.org/www-community/attacks/CSV_Injection). Numbers stay numbers. Not covered: programs that cut cells at semicolons.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from juicecap.data.export.rows import json_text, samples, visible_columns
from juicecap.data.record import LONGEST
from juicecap.sample import Sample

if TYPE_CHECKING:
    from datasets import Dataset


FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters with which a formula may begin, including the wide forms of the first four."""


def write(dataset: Dataset, stream: BinaryIO) -> None:
    """Write the header and all rows."""
    _write(dataset, stream, as_it_is)


def count(path: Path) -> int:
    """The number of rows in the file, without the header."""
    csv.field_size_limit(LONGEST)
    with path.open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.reader(stream, strict=True)) - 1


class _Escaping:
    """The same format, with formulas escaped."""

    def write(self, dataset: Dataset, stream: BinaryIO) -> None:
        """As the module's."""
        _write(dataset, stream, as_text)

    def count(self, path: Path) -> int:
        """As the module's."""
        return count(path)


ESCAPING = _Escaping()


def _write(dataset: Dataset, stream: BinaryIO, kept: Callable[[str], str]) -> None:
    columns = visible_columns(dataset)
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        has_mark = bool(columns) and columns[0].startswith("\ufeff")  # which is a part of the name only in quotes
        csv.writer(text, quoting=csv.QUOTE_ALL if has_mark else csv.QUOTE_MINIMAL).writerow(map(kept, columns))
        writer = csv.writer(text)
        for sample in samples(dataset):
            writer.writerow([cell_text(sample[name], sample, kept) for name in columns])
    finally:
        text.detach()


def cell_text(value: Any, sample: Sample, kept: Callable[[str], str]) -> str:
    """The text of a cell; `kept` is what becomes of a text: `as_it_is` or `as_text`."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return kept(value) if isinstance(value, str) else json_text(value, sample)


def as_it_is(text: str) -> str:
    """The text."""
    return text


def as_text(text: str) -> str:
    """The text, with an apostrophe in front if a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def without_apostrophe(text: str) -> str:
    """The text that `as_text` was given."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text
