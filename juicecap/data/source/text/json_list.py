"""A JSON file that holds one list of objects; or one object, whose members are read in the same way.

The list is read piece by piece, so that memory grows with the longest record and not with the file. (On a broken file it may
grow with the rest of the file, up to `record.LONGEST`, because a quote that is never closed ends only there.)

A record that is whole but cannot be kept as written is broken by itself. Where the JSON is not valid it is not known where the
next record begins, and the list as a whole cannot be read.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.compressed import refuse_wide, unpacked
from juicecap.data.record import LONGEST, BrokenRecord, Record, decode_object, decode_value, not_json, not_utf8, record, too_many
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.text.text_file import dataset_of_file
from juicecap.errors import DataError
from juicecap.sample import short_repr

if TYPE_CHECKING:
    from datasets import Dataset

PIECE = 1 << 20
"""Bytes that are read at a time."""

NEAR_END = 16
"""An error this near to the end of the buffer may come from a literal or an escape that is cut there."""

_SPACE = re.compile(r"[ \t\r\n]*")


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a JSON file."""
    return dataset_of_file(path, records, options)


def records(path: Path) -> Iterator[Record]:
    """The records of the list, each named by its position from 1.

    Raises:
        DataError: the file cannot be read or is no list, or its JSON is not valid.
    """
    window = _Window(path)
    for number in _entries(path, window):
        where = f"{path}:{window.line} (record {number})"
        yield record(f"{path.name}:{number}", where, partial(window.take_value, where, decode_object))


def values(path: Path) -> Iterator[Callable[[str], Any]]:
    """The values of the list, whatever they are: each as a function that must be called before the next one is taken.

    Raises:
        DataError: as `records`.
    """
    window = _Window(path)
    for _ in _entries(path, window):
        yield lambda _: window.take_value(str(path), decode_value)


def is_object(path: Path) -> bool:
    """Whether a JSON file holds an object.

    Raises:
        DataError: the file cannot be read.
    """
    return _Window(path).peek() == "{"


def members(path: Path) -> Iterator[tuple[str, Callable[[str], Any]]]:
    """The names of an object that the file holds, each with a function for its value, called before the next name is taken.

    Raises:
        DataError: the file cannot be read, or its JSON is not valid.
    """
    window = _Window(path)
    separator = window.take()
    while separator == "," or window.peek() != "}":
        name = window.take_value(str(path), decode_value)
        if not isinstance(name, str) or window.take() != ":":
            raise _not_json(path, window, "a name in quotes and a colon are missing")
        yield name, lambda where: window.take_value(where, decode_value)
        separator = window.take() if window.peek() == "," else ""
        if not separator and window.peek() != "}":
            raise _not_json(path, window, f"behind {short_repr(name)} a comma or the end of the object is missing")
    window.take()
    if window.peek():
        raise _not_json(path, window, "text stands behind the end of the object")


def _entries(path: Path, window: _Window) -> Iterator[int]:
    """The numbers of the list's entries, from 1, with the window at the beginning of each."""
    first = window.peek()
    if first == "{":
        raise DataError(f"{path} holds an object, not a list of records. If it has one object per line, name it .jsonl.")
    if first not in ("[", ""):
        raise _not_json(path, window, "the file does not begin with a list")
    number = 0
    while first and window.take() != "]":
        if number == 0 and window.peek() == "]":
            continue
        number += 1
        window.peek()
        yield number
        if window.peek() not in (",", "]"):
            raise _not_json(path, window, f"after record {number} a comma or the end of the list is missing")
    if first and window.peek():
        raise _not_json(path, window, "text stands behind the end of the list")


def _not_json(path: Path, window: _Window, reason: str) -> DataError:
    return DataError(f"{path}:{window.line}: {not_json(reason)}")


class _Window:
    """The part of the file that is in memory, and the place in it."""

    def __init__(self, path: Path) -> None:
        self.line = 1
        self._text = ""
        self._at = 0
        self._pieces = _pieces(path)

    def peek(self) -> str:
        """The next character that is not white space, not consumed; empty at the end of the file."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._move(match.end() if match else self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._grow(1, ""):
                return ""

    def take(self) -> str:
        """Consume what `peek` gives."""
        character = self.peek()
        self._move(self._at + len(character))
        return character

    def take_value(self, where: str, decode: Callable[[str, int, str], tuple[Any, int]]) -> Any:
        """Consume one record, which stands at `where`, as `decode` reads it.

        Raises:
            BrokenRecord: it is broken, and consumed.
            DataError: it cannot be told where it ends.
        """
        pieces = 1
        while True:
            self.peek()
            try:
                value, end = decode(self._text, self._at, where)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or len(self._text.rstrip()) - error.pos < NEAR_END
                if not (cut and self._grow(pieces, where)):
                    raise DataError(f"{where}: {not_json(error.msg)}") from None
            except BrokenRecord as error:
                if error.end is None:
                    raise DataError(str(error)) from None
                if error.end < len(self._text) or not self._grow(pieces, where):  # else it may be a number that is cut
                    self._move(error.end)
                    raise
            else:
                self._move(end)
                return value
            pieces *= 2

    def _move(self, end: int) -> None:
        self.line += self._text.count("\n", self._at, end)
        self._at = end

    def _grow(self, pieces: int, where: str) -> bool:
        """Read on, forgetting what is consumed. The number doubles per try, so that a long record takes linear time."""
        if len(self._text) - self._at > LONGEST:
            raise DataError(f"{where}: a record of more than {LONGEST:,} characters, or a quote that is never closed.")
        more = "".join(itertools.islice(self._pieces, pieces))
        self._text = self._text[self._at :] + more
        self._at = 0
        if reason := too_many(self._text):  # or so many with what is read ahead, which is no longer than the record
            raise DataError(f"{where}: {reason}")
        return bool(more)


def _pieces(path: Path) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    line, begins = 1, True
    with unpacked(path) as stream:
        while True:
            data = stream.read(PIECE)
            if begins:
                refuse_wide(data, path)
                begins = False
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                raise DataError(f"{path}:{line}: {not_utf8(error)}") from None
            line += text.count("\n")
            if text:
                yield text
            if not data:
                return
