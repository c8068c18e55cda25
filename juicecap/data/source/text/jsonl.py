"""JSON Lines: one object per line, read line by line. Blank lines are skipped, broken ones become broken records."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.compressed import lines, without_mark
from juicecap.data.record import JSON_SPACE, Record, decoded, parse_object, record
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.text.text_file import dataset_of_file

if TYPE_CHECKING:
    from datasets import Dataset

_SPACE = JSON_SPACE.encode()


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a JSON Lines file."""
    return dataset_of_file(path, records, options)


def records(path: Path) -> Iterator[Record]:
    """The records of the file, each named by its line.

    Raises:
        DataError: the file cannot be read.
    """
    for number, line in lines(path):
        text = without_mark(line)
        if text.strip(_SPACE):
            where = f"{path}:{number}"
            yield record(f"{path.name}:{number}", where, partial(_values, text, where))


def _values(line: bytes, where: str) -> dict[str, Any]:
    return parse_object(decoded(line, where), where)
