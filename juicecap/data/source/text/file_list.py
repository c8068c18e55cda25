"""A bare list of media: a text file with a path on each line, or JSON with texts in place of objects.

Each is a sample with one path, in the column of its kind: pictures by their suffix, all else is a video.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.compressed import inner_suffix, lines, unpacked, without_mark
from juicecap.data.record import BrokenRecord, Record, decoded, parse_value, record
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.text import json_list
from juicecap.data.source.text.text_file import dataset_of_file
from juicecap.errors import DataError
from juicecap.fragment import without_fragment

if TYPE_CHECKING:
    from datasets import Dataset

_START = 4096
"""Bytes in which a JSON file shows whether it lists texts or objects."""


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a list of files."""
    return dataset_of_file(path, partial(records, options=options), options)


def lists_texts(path: Path) -> bool:
    """Whether a `.json` or `.jsonl` file holds texts in place of objects."""
    try:
        with unpacked(path) as stream:
            start = without_mark(stream.read(_START)).lstrip()
    except DataError:
        return False
    if inner_suffix(path) == ".json":
        return start[:1] == b"[" and start[1:].lstrip()[:1] == b'"'
    return start[:1] == b'"'


def records(path: Path, options: SourceOptions) -> Iterator[Record]:
    """One record per path, named by its line or its position from 1.

    Raises:
        DataError: the file cannot be read.
    """
    entries = enumerate(json_list.values(path), start=1) if inner_suffix(path) == ".json" else _lines(path)
    for number, read in entries:
        where = f"{path}:{number}"
        yield record(f"{path.name}:{number}", where, partial(_values, read, where, options))


def _values(read: Callable[[str], Any], where: str, options: SourceOptions) -> dict[str, Any]:
    entry = read(where)
    if not isinstance(entry, str) or not entry:
        raise BrokenRecord(where, f"holds {json.dumps(entry)[:80]}, not a path. Write the paths as texts, or objects throughout.")
    return {options.media_column(without_fragment(entry)) or options.video_key: [entry]}


def _lines(path: Path) -> Iterator[tuple[int, Callable[[str], Any]]]:
    is_json = inner_suffix(path) == ".jsonl"
    for number, line in lines(path):
        text = without_mark(line).strip()
        if text:
            yield number, partial(_line, text, is_json)


def _line(line: bytes, is_json: bool, where: str) -> Any:  # noqa: FBT001  (given by `partial`)
    text = decoded(line, where)
    return parse_value(text, where) if is_json else text
