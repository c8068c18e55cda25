"""Texts beside media, as trainers keep captions: `clip.txt` beside `clip.mp4`.

Each suffix is a column that has its name without the dot. `.json` holds a value, any other suffix a text, which is read without
the white space around it. A medium without such a file lacks the column. A file that cannot be read makes the record of its
medium a broken one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from juicecap.data.compressed import without_mark
from juicecap.data.record import LONGEST, BrokenRecord, decoded, misnamed, parse_value
from juicecap.data.source.options import SourceOptions
from juicecap.file_state import file_state
from juicecap.naming import quoted
from juicecap.plain import read_plain

JSON = "json"


def with_dots(suffixes: str | Sequence[str]) -> tuple[str, ...]:
    """The suffixes, each with its dot, and once."""
    listed = [suffixes] if isinstance(suffixes, str) else suffixes
    return tuple(dict.fromkeys(f".{suffix.lstrip('.')}" for suffix in listed))


def column_of(suffix: str) -> str:
    """The column for the texts of a suffix."""
    return suffix.lstrip(".")


def unfit(suffix: str, options: SourceOptions) -> str:
    """Why no texts can have this suffix; empty if they can."""
    column = column_of(suffix)
    if not column or "/" in column:
        return f"{quoted(suffix)} is no suffix of a file. Give one such as .txt, .caption or .json."
    if options.media_column(suffix):
        return f"{quoted(suffix)} is a suffix of media. Give that of the texts, such as .txt."
    if column in (options.video_key, options.image_key, options.audio_key):
        return f"{quoted(suffix)} would be the column {quoted(column)}, which holds media. Name that one otherwise."
    return misnamed(column)


def texts_beside(folder: Path, name: str, where: str, options: SourceOptions) -> dict[str, Any]:
    """The texts beside the medium `name` of a folder, by their columns.

    Raises:
        BrokenRecord: one of them cannot be read.
    """
    found: dict[str, Any] = {}
    for suffix in options.sidecar_suffixes:
        file = _file(folder, name, suffix)
        try:
            data = read_plain(file, LONGEST, follow=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BrokenRecord(where, f"{file.name} cannot be read: {error.strerror or error}. Mend or remove it.") from error
        try:
            found[column_of(suffix)] = _value(data, suffix, where)
        except BrokenRecord as error:
            raise BrokenRecord(where, f"{file.name}: {error.reason}") from error
    return found


def states(folder: Path, names: Iterable[str], options: SourceOptions) -> list[object]:
    """What tells one state of all texts beside these media from another; nothing where none are read."""
    if not options.sidecar_suffixes:
        return []
    files = (str(_file(folder, name, suffix)) for name in names for suffix in options.sidecar_suffixes)
    return [list(options.sidecar_suffixes), [file_state(file) for file in files]]


def _file(folder: Path, name: str, suffix: str) -> Path:
    medium = folder / name
    return medium.with_name(f"{medium.stem}{suffix}")


def _value(data: bytes, suffix: str, where: str) -> Any:
    text = decoded(without_mark(data), where).strip()
    return parse_value(text, where) if column_of(suffix) == JSON else text
