"""A sample is one row of a dataset, a plain dict; a batch is a dict of equally long lists, as in `datasets`.

Besides the user's columns a sample that came from `juicecap.load_dataset` carries one hidden column, `ORIGIN`: where it
came from, against which folder its relative media paths are resolved, and which of its keys the source record did not
have (a table cannot tell a missing key from null, an export must).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from juicecap.errors import SampleError
from juicecap.nested import value_of
from juicecap.printable import escaped

Sample = dict[str, Any]
Batch = dict[str, list[Any]]

ORIGIN = "__juicecap_origin__"
"""Hidden column: {"id": "clips.jsonl:3", "folder": "/data", "missing": ["text"]}."""

FATE = "__juicecap_fate__"
"""Hidden column of a step's table: the sample's fate (see `ops/apply/fate.py`)."""

BROKEN = "__juicecap_broken__"
"""Hidden column of a dataset some of whose records could not be read: why (see `data/broken.py`)."""

HIDDEN = (ORIGIN, FATE, BROKEN)

MOST_NESTED = 40
"""Levels of nested lists and objects that a value may have. Parquet holds fifty, Arrow's files sixty, Python's JSON 970."""

LONGEST_TEXT = 10_000_000
"""Characters of a text that is shown to a model, compared with others, or read as JSON: more than any model holds."""

_SHOWN = 80

_SHOWN_PATH = 300

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

_FILE = "file://"

_SECRETS = re.compile(r"(?<=://)[^/?#]*@|(?<=[?#]).+", re.DOTALL)
"""Secret parts of an address: a user's name and password, and the query, which may hold a signature."""


def samples_of(batch: Batch) -> list[Sample]:
    """Turn a batch into its samples, in order."""
    columns = list(batch)
    return [dict(zip(columns, row, strict=True)) for row in zip(*batch.values(), strict=True)]


def batch_of(samples: Iterable[Sample], columns: Iterable[str] = ()) -> Batch:
    """Turn samples into a batch. The columns are `columns` and all that the samples have; what a sample lacks is None."""
    rows = list(samples)
    names = dict.fromkeys(columns)
    for row in rows:
        names.update(dict.fromkeys(row))
    return {name: [row.get(name) for row in rows] for name in names}


def sample_name(sample: Sample, media_keys: Sequence[str] = ("videos", "images")) -> str:
    """The name of a sample in a message: its source and position, else its first medium."""
    origin = sample.get(ORIGIN)
    if origin:
        return str(origin["id"])
    for key in media_keys:
        value = value_of(sample, key)
        first = value[0] if isinstance(value, list | tuple) and value else value
        if first:
            return first if isinstance(first, str) else short_repr(first)
    return "a sample without media"


def source_position(sample: Sample) -> str | None:
    """Where the sample came from: its source file with the position in it (`/data/clips.jsonl:3`), or the file of a folder."""
    origin = sample.get(ORIGIN)
    return os.path.join(origin["folder"] or "", origin["id"]) if origin else None


def visible(sample: Sample) -> Sample:
    """The sample as its user knows it: no hidden columns, and no key that its source record did not have."""
    missing = (sample.get(ORIGIN) or {}).get("missing") or ()
    return {key: value for key, value in sample.items() if key not in HIDDEN and not (value is None and key in missing)}


def same_value(value: object, other: object) -> bool:
    """Whether values are equal, and neither is a number that Python takes for a bool."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def short_repr(value: object) -> str:
    """A value for a message: as Python writes it, shortened if it is long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested more deeply, or a number with more digits, than Python writes
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def display_path(path: str) -> str:
    """A path for a message: without unprintable characters and secrets of an address; a long one is shortened in the middle."""
    if is_remote(path):
        path = _SECRETS.sub("…", path)
    path = escaped(path)
    half = _SHOWN_PATH // 2
    return path if len(path) <= _SHOWN_PATH else f"{path[:half]}…{path[-half:]}"


def is_remote(path: str) -> bool:
    """Whether an entry of a media column is an address (`https://…`, `s3://…`) and not a path."""
    return _ADDRESS.match(path) is not None


def local_path(entry: str) -> str:
    """An entry of a media column, an address of a file on this machine (`file:///a%20b.mp4`) as its path.

    Raises:
        ValueError: the address names another machine; the message is the rest of a sentence.
    """
    if entry[: len(_FILE)].lower() != _FILE:
        return entry
    host, slash, path = entry[len(_FILE) :].partition("/")
    if host.lower() not in ("", "localhost") or not slash:
        raise ValueError(f"names the machine {host!r}; write file:///PATH, or the path alone")
    return unquote(slash + path, errors="surrogateescape")


def nested_too_deeply(value: object) -> bool:
    """Whether there are more than `MOST_NESTED` lists and objects inside of each other, the value itself included."""
    level: list[Any] = [value]
    for _ in range(MOST_NESTED + 1):
        level = [each for each in level if isinstance(each, list | dict)]
        if not level:
            return False
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return True


def list_in_cell(value: Any, *, indented: bool = False) -> Any:
    """The list that a text holds as JSON, as a cell of a CSV file does; whatever else it is, the value itself.

    Where texts may be `indented`, there may be white space before the list.
    """
    if isinstance(value, str) and (value.lstrip() if indented else value).startswith("["):
        with suppress(ValueError):
            return json_in_cell(value)
    return value


def json_in_cell(text: str) -> Any:
    """The JSON value that a text holds, as a cell of a CSV file does.

    Raises:
        ValueError: it is no JSON, too long or nested too deeply, or has half of a surrogate pair in it, which stands for nothing.
    """
    if len(text) > LONGEST_TEXT:
        raise ValueError("too long")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if nested_too_deeply(value):
        raise ValueError("nested too deeply")
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def media_paths(sample: Sample, key: str) -> list[str]:
    """The paths in a media column, relative ones resolved against the sample's source folder, and addresses as they are.

    Fragments stay (`film.mp4#t=12.5,20`, see `juicecap.fragment`).
    An address of a file on this machine (`file:///…`) is its path.

    The column may be inside of an object (`media.video`), and it may be missing, null, one path, a list of paths, or a JSON list
    in a string (as a CSV cell holds it). A path may also stand in a dict, as `datasets` has it of media that it does not decode:
    {"path": "a.png", "bytes": null}.

    Raises:
        SampleError: `BAD_MEDIA_COLUMN` if an entry is not a path.
    """
    folder = (sample.get(ORIGIN) or {}).get("folder") or ""
    return [entry if is_remote(entry) else os.path.join(folder, entry) for entry in media_entries(sample, key)]


def media_entries(sample: Sample, key: str) -> list[str]:
    """As `media_paths`, with relative paths as they are written.

    Raises:
        SampleError: as `media_paths`.
    """
    value = value_of(sample, key)
    if value is None or value == "":
        return []
    if isinstance(value, os.PathLike) or _is_medium(value):
        value = [value]
    if isinstance(value, str):
        value = _listed(value)
    if not isinstance(value, list | tuple):
        raise SampleError("BAD_MEDIA_COLUMN", f"column {key!r} holds {short_repr(value)}, not a path or a list of paths")
    entries = []
    for each in value:
        entry = each["path"] if _is_medium(each) else each
        if _is_medium(each) and each["bytes"] is not None:
            theirs = (
                "juicecap.load_dataset and an op's run write to files"
                if key in sample
                else "are read in a column of their own only"
            )
            raise SampleError("BAD_MEDIA_COLUMN", f"column {key!r} holds bytes, which {theirs}")
        if not isinstance(entry, str | os.PathLike) or not entry:
            raise SampleError("BAD_MEDIA_COLUMN", f"column {key!r} holds {short_repr(each)} where a path should be")
        try:
            entries.append(local_path(os.fspath(entry)))
        except ValueError as error:
            raise SampleError("BAD_MEDIA_COLUMN", f"column {key!r} holds {short_repr(entry)}, which {error}") from None
    return entries


def _is_medium(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {"path", "bytes"}


def _listed(value: str) -> list[Any]:
    listed = list_in_cell(value)
    return listed if isinstance(listed, list) else [value]
