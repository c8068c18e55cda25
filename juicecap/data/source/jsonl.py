"""JSON Lines: one object per line, read line by line. Blank lines are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.record import JSON_SPACE, Record, parse_object, text_lines
from juicecap.data.source.options import Options
from juicecap.data.source.text_file import dataset_of_file

if TYPE_CHECKING:
    from datasets import Dataset


def open_dataset(path: str, options: Options) -> Dataset:
    """The dataset of a JSON Lines file."""
    return dataset_of_file(path, records, options)


def records(path: Path) -> Iterator[Record]:
    """The records of the file, each named by its line.

    Raises:
        DataError: a line is broken.
    """
    for number, line in text_lines(path):
        if line.strip(JSON_SPACE):
            where = f"{path}:{number}"
            yield Record(f"{path.name}:{number}", where, parse_object(line, where))
