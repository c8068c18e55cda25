"""The content of a dataset, guessed from its first rows: which columns hold videos, images, texts and conversations."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juicecap.data.source import format_of, open_source
from juicecap.data.source.options import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from juicecap.errors import DataError, EnvironmentFailure, SampleError
from juicecap.fragment import without_fragment
from juicecap.sample import HIDDEN, ORIGIN, media_paths

ROWS = 200
"""Rows that are read."""

ENOUGH = 0.5
"""Share of a column's entries that must have the suffix of a medium."""

_TEXTS = ("text", "caption", "description", "prompt", "title")
"""Names of columns that hold a text, most usual first."""

_WORDS = 3
"""Words that the texts of a column of another name have on average."""


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What was found; None where no column looks like it."""

    rows: int
    columns: tuple[str, ...]
    video: str | None
    image: str | None
    text: str | None
    conversation: str | None
    is_media: bool
    """Whether the dataset is nothing but media, whose column a recipe may name as it likes."""


def guess(path: str) -> Guess:
    """Look at the first rows of a dataset on this machine.

    Raises:
        DataError: there is no such dataset here, it cannot be read, or no column holds videos or images.
        EnvironmentFailure: there is no room for temporary files.
    """
    format_ = format_of(path)
    if format_ == "hub":
        raise DataError(f"{path} does not exist. Give a dataset file or a folder on this machine.")
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
            rows = open_source(path, cache_folder=Path(cache), limit=ROWS).to_list()
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvironmentFailure(f"{path} cannot be looked at in the folder for temporary files (TMPDIR): {reason}") from error
    columns = [name for name in rows[0] if name not in HIDDEN]
    found = Guess(
        rows=len(rows),
        columns=tuple(columns),
        video=_media_column(rows, columns, VIDEO_SUFFIXES, "video"),
        image=_media_column(rows, columns, IMAGE_SUFFIXES, "image"),
        text=_text_column(rows, columns),
        conversation=next((name for name in columns if _all(rows, name, _is_conversation)), None),
        is_media=format_ in ("folder", "files"),
    )
    if not (found.video or found.image):
        raise DataError(f"{path}: no column holds paths of videos or images; it has {', '.join(columns)}.")
    return found


def _media_column(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], suffixes: tuple[str, ...], word: str) -> str | None:
    """The column with the largest share of such paths; of several the one that is named after them, then the first."""
    shares = {name: _share(rows, name, suffixes) for name in columns}
    best = max(columns, key=lambda name: (shares[name], word in name.lower()))
    return best if shares[best] >= ENOUGH else None


def _share(rows: Sequence[Mapping[str, Any]], column: str, suffixes: tuple[str, ...]) -> float:
    """How many of the column's entries are paths with such a suffix."""
    hits = entries = 0
    for row in rows:
        try:
            paths = media_paths({column: row[column], ORIGIN: None}, column)
        except SampleError:
            return 0.0
        entries += len(paths)
        names = [without_fragment(path) for path in paths if "://" not in path and "\n" not in path]
        hits += sum(name.lower().endswith(suffixes) for name in names)
    return hits / entries if entries else 0.0


def _text_column(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str | None:
    media = VIDEO_SUFFIXES + IMAGE_SUFFIXES
    texts = [name for name in columns if _all(rows, name, lambda value: isinstance(value, str)) and not _share(rows, name, media)]
    for name in _TEXTS:
        if name in texts:
            return name
    words = {name: sum(len((row[name] or "").split()) for row in rows) / len(rows) for name in texts}
    best = max(texts, key=words.__getitem__, default=None)
    return best if best is not None and words[best] >= _WORDS else None


def _all(rows: Sequence[Mapping[str, Any]], column: str, holds: Callable[[Any], bool]) -> bool:
    values = [row[column] for row in rows if row[column] is not None]
    return bool(values) and all(map(holds, values))


def _is_conversation(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(turn, dict) and {"from", "value"} <= set(turn) for turn in value)
