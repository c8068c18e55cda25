"""The exports of a recipe of `juicecap init`: captions that came with their media leave as they came, and a LoRA gets pairs.

They go into a folder of their own, with links to the media, so that a trainer takes the folder at once and what was read stays.
What a file beside a medium, or an object, says besides the caption is not repeated in texts; the table of the run has it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import yaml

from juicecap.data.source import metadata
from juicecap.data.source.sidecar import JSON, column_of
from juicecap.data.source.text import line_pairs
from juicecap.nested import is_among
from juicecap.recipe.authoring.guess import CAPTIONS, Guess
from juicecap.recipe.yaml.environment import literal

Entry = Mapping[str, Any]
"""An entry of `exports`."""

_LIST = "juicecap export --list shows all"

_TRAINERS = {"conversations": "llama_factory", "images": "kohya", "videos": "finetrainers"}
"""What an op captions -> a trainer that takes it."""

_USUAL = {"images": "videos", "videos": "images"}
"""What an op captions -> the usual column of the other media, which exports would take too."""


def place_in(folder: str) -> str:
    """Where the export of a recipe in `folder` goes."""
    return os.path.join(folder, "out", "train")


def pairs(to: str, caption: str, suffix: str = ".txt") -> Entry:
    """A text beside each medium."""
    return {"to": to, "as": "sidecar", "caption": caption, "suffix": suffix, "media": "link"}


def fitting_export(found: Guess, op: str, goal: str, to: str, caption: str) -> Entry | None:
    """The export of what an op captions into the column `caption`; None if the table of the run is all."""
    if op not in _USUAL or not _has_one_medium_each(found, op) or _is_read_again(found, to):
        return None
    if shape := _SHAPES.get(found.format):
        return shape(found, to, caption)
    if found.sidecar:
        return pairs(to, caption, ".txt" if column_of(found.sidecar) == JSON else found.sidecar)
    return pairs(to, caption) if goal == "lora" else None


def exports_text(entry: Entry | None, op: str) -> str:
    """The key `exports` of a recipe; without an entry a comment that says what could stand there."""
    if not entry:
        return f"# exports: [{{to: DIR, for: {_TRAINERS[op]}}}]  # files for a trainer; {_LIST}"
    dumped = yaml.safe_dump([_literal(entry)], sort_keys=False, allow_unicode=True, width=float("inf"), default_flow_style=None)
    return "\n".join([f"exports:  # files for a trainer; presets in place of as (for: musubi): {_LIST}", *_indented(dumped)])


def _indented(dumped: str) -> Iterator[str]:
    for line in dumped.splitlines():
        comment = "  # links to the media come beside; or hardlink, copy" if line.rstrip("}").endswith("media: link") else ""
        yield f"  {line}{comment}"


def _literal(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _literal(each) for name, each in value.items()}
    return literal(value) if isinstance(value, str) else value


def _has_one_medium_each(found: Guess, op: str) -> bool:
    """Whether each row has one file to write a caption for."""
    medium = found.image if op == "images" else found.video
    return medium in found.single and _USUAL[op] not in found.columns


def _is_read_again(found: Guess, to: str) -> bool:
    """Whether the media in `to` would be among those of the dataset when the recipe is run again."""
    source = Path(found.path) if os.path.isdir(found.path) else Path(found.path).parent
    return found.format in ("captions", "folder") and Path(to).resolve().is_relative_to(source.resolve())


def _object(found: Guess, to: str, caption: str) -> Entry:
    """An object whose keys are the media."""
    name = PurePath(found.path).name
    file = os.path.join(to, name if name.endswith(".json") else CAPTIONS)
    columns = {str(found.video or found.image): {"media": True}, **_columns(found, caption)}
    return _table(file, caption, columns, format="mapping", captions="list" if _is_list(found) else "first")


def _lists(found: Guess, to: str, caption: str) -> Entry:
    """A list of media and a list of captions."""
    lists = line_pairs.pair_of(Path(found.path))
    assert lists
    columns = {lists.media.stem: {"media": True}, lists.captions.stem: {"caption": True}}
    return _table(to, caption, columns, format="lines")


def _metadata(found: Guess, to: str, caption: str) -> Entry:
    """A table of names and captions."""
    file, names = metadata.file_and_column(Path(found.path))
    if file.name == metadata.VIDEOS:
        return {"to": to, "for": "fastvideo", "caption": caption}
    columns = {**_columns(found, caption), names: {"media": True}}
    several = {"captions": "list"} if _is_list(found) else {}
    return _table(os.path.join(to, file.name), caption, columns, **several)


def _table(to: str, caption: str, columns: Mapping[str, Any], **options: str) -> Entry:
    return {"to": to, "as": "table", **options, "caption": caption, "media": "link", "columns": columns}


def _is_list(found: Guess) -> bool:
    return found.old is not None and found.old.is_list


def _columns(found: Guess, caption: str) -> dict[str, Any]:
    """The columns of a dataset besides those of its media, and the column of the captions."""
    media = (found.video, found.image, *_USUAL)
    kept = {name: name for name in found.columns if name not in media}
    return kept if is_among(caption, {*kept, *(f"{name}.*" for name in kept)}) else {**kept, caption: caption}


_SHAPES: Mapping[str, Callable[[Guess, str, str], Entry]] = {"captions": _object, "metadata": _metadata, "pairs": _lists}
"""Format of a dataset -> the export that writes it again."""
