"""The content of a dataset, guessed from its first rows: which columns hold videos, images, texts and conversations."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from juicecap.data.source import format_of, open_source
from juicecap.data.source.folder import records
from juicecap.data.source.options import IMAGE_SUFFIXES, VIDEO_SUFFIXES, SourceOptions
from juicecap.errors import DataError, EnvironmentFailure, SampleError
from juicecap.fragment import without_fragment
from juicecap.nested import value_of
from juicecap.ops.captioning.conversation import read_conversation
from juicecap.sample import HIDDEN, ORIGIN, is_remote, media_paths

ROWS = 200
"""Rows that are read."""

ENOUGH = 0.5
"""Share of a column's entries that must have the suffix of a medium."""

_TEXTS = ("text", "caption", "description", "prompt", "title")
"""Names of columns that hold a text, most usual first."""

CAPTIONS = "captions.json"
"""File in a folder of media that may map them to captions."""

IMPORTS = ("captions", "metadata", "pairs")
"""Formats of trainers, in which media come with their captions."""

OLD_CAPTIONS = ("caption", "captions", "cap", "text", "prompt")
"""Names of columns of captions in these, most usual first."""

SIDECARS = (".txt", ".caption", ".json")
"""Suffixes of captions beside media, most usual first."""

_WORDS = 3
"""Words that the texts of a column of another name have on average."""


class OldCaption(NamedTuple):
    """The column of captions that a dataset came with."""

    column: str
    is_list: bool
    """Whether a row has a list of them."""


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What was found; None where no column looks like it."""

    rows: int
    columns: tuple[str, ...]
    video: str | None
    image: str | None
    text: str | None
    conversation: str | None
    path: str
    """The dataset that a recipe should name: the one that was asked for, or a file in it with its captions."""
    format: str
    is_media: bool
    """Whether the dataset is nothing but media."""
    has_several: bool
    """Whether a row has several videos."""
    single: tuple[str, ...]
    """Columns of media that hold one file on this machine in each row."""
    asks: bool
    """Whether the conversations ask something already."""
    sidecar: str
    """The suffix of texts beside the media; empty if they have none."""
    old: OldCaption | None
    """The captions that came with the media, in a shape in which trainers read them."""


def guess(path: str) -> Guess:
    """Look at the first rows of a dataset on this machine.

    Raises:
        DataError: there is no such dataset here, it cannot be read, or no column holds videos or images.
        EnvironmentFailure: there is no room for temporary files.
    """
    if format_of(path) == "hub":
        raise DataError(f"{path} does not exist. Give a dataset file or a folder on this machine.")
    path = _with_captions(path)
    format_ = format_of(path)
    sidecar = _sidecar(Path(path)) if format_ == "folder" else ""
    rows = _first_rows(path, sidecar)
    columns = [name for name in rows[0] if name not in HIDDEN]
    video, text = _media_column(rows, columns, VIDEO_SUFFIXES, "video"), _text_column(rows, columns)
    old = _old_caption(rows, columns, sidecar) if sidecar or format_ in IMPORTS else None
    if old:
        text = None if old.is_list else old.column
    image = _media_column(rows, columns, IMAGE_SUFFIXES, "image")
    conversation = next((name for name in columns if _all(rows, name, _is_conversation)), None)
    found = Guess(
        rows=len(rows),
        columns=tuple(columns),
        video=video,
        image=image,
        text=text,
        conversation=conversation,
        path=path,
        format=format_,
        is_media=format_ in ("folder", "files"),
        has_several=any(len(media_paths({**row, ORIGIN: None}, video)) > 1 for row in rows) if video else False,
        single=tuple(name for name in (video, image) if name and all(_has_one_file(row, name) for row in rows)),
        asks=any(_asks(row[conversation]) for row in rows) if conversation else False,
        sidecar=sidecar,
        old=old,
    )
    if not (found.video or found.image):
        raise DataError(f"{path}: no column holds paths of videos or images; it has {', '.join(columns)}.")
    return found


def _first_rows(path: str, sidecar: str) -> list[dict[str, Any]]:
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
            rows: list[dict[str, Any]] = open_source(
                path, cache_folder=Path(cache), limit=ROWS, sidecar_suffix=sidecar or ()
            ).to_list()
            return rows
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvironmentFailure(f"{path} cannot be looked at in the folder for temporary files (TMPDIR): {reason}") from error


def _with_captions(path: str) -> str:
    """The file in a folder of media that maps them to captions; the path itself if there is none."""
    file = os.path.join(path, CAPTIONS)
    is_map = os.path.isfile(file) and format_of(path) == "folder" and format_of(file) == "captions"
    return file if is_map else path


def _sidecar(location: Path) -> str:
    """The suffix of the texts that most of the first media of a folder have beside them."""
    folder = location if location.is_dir() else location.parent
    media = [folder / each.id for each in itertools.islice(records(location, SourceOptions()), ROWS)]
    shares = {suffix: sum(each.with_suffix(suffix).is_file() for each in media) for suffix in SIDECARS}
    best = max(shares, key=shares.__getitem__)
    return best if shares[best] >= ENOUGH * len(media) and shares[best] else ""


def _old_caption(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], sidecar: str) -> OldCaption | None:
    names = [sidecar.lstrip(".")] if sidecar else [name for name in OLD_CAPTIONS if name in columns]
    for name in (inner for each in names for inner in (each, *(f"{each}.{part}" for part in OLD_CAPTIONS))):
        values = [value for row in rows if (value := value_of(row, name)) is not None]
        if values and all(isinstance(value, str) for value in values):
            return OldCaption(name, is_list=False)
        if values and all(isinstance(value, list) and all(isinstance(each, str) for each in value) for value in values):
            return OldCaption(name, is_list=True)
    return None


def _has_one_file(row: Mapping[str, Any], column: str) -> bool:
    paths = media_paths({**row, ORIGIN: None}, column)
    return len(paths) == 1 and not is_remote(paths[0])


def _asks(turns: Any) -> bool:
    """Whether a conversation asks something."""
    try:
        return bool(read_conversation(turns, "").text)
    except SampleError:
        return False


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
    if not isinstance(value, list):
        return False
    return all(isinstance(turn, dict) and ({"from", "value"} <= set(turn) or {"role", "content"} <= set(turn)) for turn in value)
