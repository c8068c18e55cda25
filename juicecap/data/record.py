"""One record of a text file, and the strict reading of JSON that keeps it as written.

What JSON leaves open is refused, not guessed: a duplicate key in an object, a number too large for a float or for 64 bits, half
of a surrogate pair. A refused record is a `BrokenRecord`. If the position of the next record is known, the source passes the
broken one on as a `Record` with the reason, and reads the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from juicecap.errors import DataError
from juicecap.naming import unseen
from juicecap.sample import HIDDEN, MOST_NESTED, ORIGIN, nested_too_deeply, short_repr

JSON_SPACE = " \t\r\n"

LONGEST = 1 << 26
"""Bytes that one record may have."""

VALUES = 1 << 21
"""Values that one record may have, by its commas and brackets: as Python objects they take up to 200 bytes each."""

NAMES = 10_000
"""Keys that one record may have, and columns that a dataset may have."""

LOWEST, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
"""The integers that a column can hold."""

_INT_DIGITS = len(str(LOWEST))


class Record(NamedTuple):
    """A record: its id for the hidden column, its location for messages, and its values by column."""

    id: str
    where: str
    values: dict[str, Any]
    broken: str = ""
    """Why it cannot be read, in which case it has no values; empty if it can."""
    folder: str = ""
    """The folder that its relative paths start from, where that is not the same for all records of the source."""


class BrokenRecord(DataError):
    """One record cannot be read: its location, the reason, and in a text of several records the position after it."""

    exit_code = 1

    def __init__(self, where: str, reason: str, end: int | None = None) -> None:
        super().__init__(f"{where}: {reason}")
        self.where, self.reason, self.end = where, reason, end


class _UnwantedError(ValueError):
    """JSON that Python reads but that cannot be kept as written."""


def record(identity: str, where: str, values: Callable[[], dict[str, Any]]) -> Record:
    """The record at `where` that `values` reads; a broken one if that raises `BrokenRecord`.

    One that was written from a dataset of juicecap's with its hidden column is what it was there, with the id and the folder.
    """
    try:
        read = values()
    except BrokenRecord as error:
        return Record(identity, where, {}, error.reason)
    if ORIGIN not in read:
        return Record(identity, where, read)
    origin = read.pop(ORIGIN)
    read = {name: value for name, value in read.items() if not (value is None and name in origin["missing"])}
    return Record(origin["id"], where, read, folder=origin["folder"])


def decoded(line: bytes, where: str) -> str:
    """The text of a line.

    Raises:
        BrokenRecord: it is not valid UTF-8, or longer than a record may be.
    """
    if len(line) > LONGEST:
        raise BrokenRecord(where, f"longer than {LONGEST:,} bytes. Mend the record or remove it.")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenRecord(where, not_utf8(error)) from None


def parse_object(text: str, where: str) -> dict[str, Any]:
    """The JSON object that `text` holds, and nothing else.

    Raises:
        BrokenRecord: it is not valid JSON, not an object, or cannot be kept as written.
    """
    values: dict[str, Any] = _whole(text, where, decode_object)
    return values


def parse_value(text: str, where: str) -> Any:
    """The JSON value that `text` holds, and nothing else.

    Raises:
        BrokenRecord: it is not valid JSON, or cannot be kept as written.
    """
    return _whole(text, where, decode_value)


def decode_object(text: str, start: int, where: str) -> tuple[dict[str, Any], int]:
    """The JSON object that begins at `start`, and the position behind it.

    Raises:
        json.JSONDecodeError: the text there is not valid JSON, or is cut.
        BrokenRecord: it is not an object or cannot be kept as written. Its `end` is None if that is not known.
    """
    values, end = decode_value(text, start, where)
    if not isinstance(values, dict):
        raise BrokenRecord(where, f'holds {_kind(values)}, not an object. A record looks like {{"videos": ["a.mp4"]}}.', end)
    if len(values) > NAMES:
        reason = f"has {len(values):,} keys, and there can be {NAMES:,} columns. Put them into an object of their own."
        raise BrokenRecord(where, reason, end)
    for name in values:
        if (reason := misnamed(name)) and not (name == ORIGIN and _is_origin(values[name])):
            raise BrokenRecord(where, reason, end)
    return values, end


def decode_value(text: str, start: int, where: str) -> tuple[Any, int]:
    """The JSON value that begins at `start`, and the position behind it.

    Raises:
        json.JSONDecodeError: the text there is not valid JSON, or is cut.
        BrokenRecord: it cannot be kept as written. Its `end` is None if that is not known.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
    except _UnwantedError as error:
        raise BrokenRecord(where, f"{error}. Mend the record.", _end(text, start, where)) from None
    except RecursionError:
        raise _too_deep(where) from None
    if text.count("[", start, end) + text.count("{", start, end) > MOST_NESTED and nested_too_deeply(value):
        raise _too_deep(where, end)
    if text.find("\\u", start, end) >= 0:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            reason = "a \\u escape is half of a surrogate pair and stands for no character. Mend the text."
            raise BrokenRecord(where, reason, end) from None
    return value, end


def too_many(text: str | bytes) -> str:
    """Why a text cannot be parsed as one record; empty if it can. All commas and brackets count, also inside strings."""
    if len(text) <= VALUES:
        return ""
    comma, bracket, brace = (",", "[", "{") if isinstance(text, str) else (b",", b"[", b"{")
    found = text.count(comma) + text.count(bracket) + text.count(brace)  # type: ignore[arg-type]  # all are of the text's type
    return f"more than {VALUES:,} values. Split the record." if found > VALUES else ""


def misnamed(name: str) -> str:
    """Why no column can have this name; empty if one can."""
    if name in HIDDEN:
        return f"the name {name!r} is reserved by juicecap. Rename that key."
    return f"the name {name!r} holds a null character, which no column can. Rename that key." if "\0" in name else ""


def not_json(reason: str) -> str:
    """What is wrong with text that is not valid JSON."""
    return f"not valid JSON: {reason}. Mend the record or remove it."


def not_utf8(error: UnicodeDecodeError) -> str:
    """What is wrong with bytes that are not valid UTF-8."""
    return f"not valid UTF-8 (byte 0x{error.object[error.start]:02x}: {error.reason}). Save the file as UTF-8."


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file or folder that the system does not let us read."""
    return DataError(f"{path} cannot be read: {error.strerror or error}. Check that it is there and may be read.")


def _whole(text: str, where: str, decode: Callable[[str, int, str], tuple[Any, int]]) -> Any:
    if reason := too_many(text):
        raise BrokenRecord(where, reason)
    text = text.rstrip(JSON_SPACE)
    start = len(text) - len(text.lstrip(JSON_SPACE))
    try:
        value, end = decode(text, start, where)
        if rest := text[end:].lstrip(JSON_SPACE):
            raise json.JSONDecodeError("Extra data", text, len(text) - len(rest))  # noqa: TRY301  (caught here on purpose)
    except json.JSONDecodeError as error:
        told = unseen(text[error.pos : error.pos + 1])
        reason = f"{error.msg.removesuffix(' at')} at column {error.pos + 1}{f' ({told})' if told else ''}"
        raise BrokenRecord(where, not_json(reason)) from None
    return value


def _end(text: str, start: int, where: str) -> int:
    """The position behind the JSON value that begins at `start`, whatever it holds."""
    try:
        return _LENIENT.raw_decode(text, start)[1]
    except RecursionError:
        raise _too_deep(where) from None


def _too_deep(where: str, end: int | None = None) -> BrokenRecord:
    return BrokenRecord(where, "lists or objects are nested too deeply. Flatten the record.", end)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _UnwantedError(f"the key {short_repr(twice)} stands twice in one object")
    return values


def _int(text: str) -> int:
    value = int(text) if len(text) <= _INT_DIGITS else UINT_MAX + 1
    if not LOWEST <= value <= UINT_MAX:
        raise _UnwantedError(f"the integer {text[:40]} does not fit into 64 bits and should be a string")
    return value


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _UnwantedError(f"the number {text[:40]} is too large for a float")
    return value


def _is_origin(value: object) -> bool:
    """Whether it is a value of the hidden column `sample.ORIGIN`, as JSON has it."""
    if not isinstance(value, dict) or value.keys() != {"id", "folder", "missing"}:
        return False
    texts = [value["id"], value["folder"], *(value["missing"] if isinstance(value["missing"], list) else [None])]
    return all(isinstance(each, str) for each in texts)


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_int, parse_float=_float)
_LENIENT = json.JSONDecoder(parse_int=str, parse_float=str)
