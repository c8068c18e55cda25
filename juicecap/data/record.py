"""One record of a text file, and the strict reading of text and JSON that keeps it as written.

What JSON leaves open is refused rather than guessed at: a key that stands twice in an object, a number too large for a float,
half of a surrogate pair. Each error names its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from juicecap.errors import DataError

JSON_SPACE = " \t\r\n"


class Record(NamedTuple):
    """A record: its id in the hidden column, its place for messages, and its values by column."""

    id: str
    where: str
    values: dict[str, Any]


class _UnwantedError(ValueError):
    """JSON that Python reads but that cannot be kept as written."""


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""The lines of a UTF-8 file, a byte order mark removed, with their numbers from 1 and their line ends.

    Only `\n` ends a line: other characters that Unicode calls line breaks may stand inside JSON strings and CSV cells.

    Raises:
        DataError: the file cannot be read, or a line is not valid UTF-8.
    """
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                yield number, _decoded(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, f"{path}:{number}")
    except OSError as error:
        raise unreadable(path, error) from error


def parse_object(text: str, where: str) -> dict[str, Any]:
    """The JSON object that `text` holds, and nothing else.

    Raises:
        DataError: it is not valid JSON, not an object, or cannot be kept as written.
    """
    text = text.rstrip(JSON_SPACE)
    start = len(text) - len(text.lstrip(JSON_SPACE))
    try:
        values, end = decode_object(text, start, where)
        if rest := text[end:].lstrip(JSON_SPACE):
            raise json.JSONDecodeError("Extra data", text, len(text) - len(rest))  # noqa: TRY301  (caught here on purpose)
    except json.JSONDecodeError as error:
        raise not_json(where, f"{error.msg} at column {error.pos + 1}") from None
    return values


def decode_object(text: str, start: int, where: str) -> tuple[dict[str, Any], int]:
    """The JSON object that begins at `start`, and the position behind it.

    Raises:
        json.JSONDecodeError: the text there is not valid JSON, or is cut.
        DataError: it is not an object or cannot be kept as written.
    """
    try:
        values, end = _DECODER.raw_decode(text, start)
        if text.find("\\u", start, end) >= 0:
            json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{where}: a \\u escape is half of a surrogate pair and stands for no character. Mend the text."
        ) from None
    except json.JSONDecodeError:
        raise
    except RecursionError:
        raise DataError(f"{where}: lists or objects are nested too deeply. Flatten the record.") from None
    except ValueError as error:
        reason = str(error) if isinstance(error, _UnwantedError) else "a number has too many digits"
        raise DataError(f"{where}: {reason}. Mend the record.") from None
    if not isinstance(values, dict):
        raise DataError(f'{where}: holds {_kind(values)}, not an object. A record looks like {{"videos": ["a.mp4"]}}.')
    return values, end


def not_json(where: str, reason: str) -> DataError:
    """The error for text that is not valid JSON."""
    return DataError(f"{where}: not valid JSON: {reason}. Mend the record or remove it.")


def not_utf8(where: str, error: UnicodeDecodeError) -> DataError:
    """The error for bytes that are not valid UTF-8."""
    byte = error.object[error.start]
    return DataError(f"{where}: not valid UTF-8 (byte 0x{byte:02x}: {error.reason}). Save the file as UTF-8.")


def unreadable(path: Path, error: OSError) -> DataError:
    """The error for a file or folder that the system does not let us read."""
    return DataError(f"{path} cannot be read: {error.strerror or error}. Check that it is there and may be read.")


def reason_of(error: Exception) -> str:
    """What another library's error says, as a part of a sentence: its first line without the full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".: ")


def _decoded(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(where, error) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _UnwantedError(f"the key {twice!r} stands twice in one object")
    return values


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _UnwantedError(f"the number {text[:40]} is too large for a float")
    return value


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float)
