"""A JSON object that maps media to captions: `{"a.mp4": "A cat."}`, with a list of captions, or an object with several texts.

diffusion-pipe (`captions.json`), ai-toolkit and sd-scripts read it. Each member is a record. A caption, or a list of them, is in
the column `caption`; what an object holds is in columns of its own. Paths start at the folder of the file. If the first name has
no suffix of a medium, all names are those of media below that folder without their suffixes, as sd-scripts writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from juicecap.data.compressed import inner_suffix
from juicecap.data.record import BrokenRecord, Record, misnamed, record
from juicecap.data.source import folder
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.text import json_list
from juicecap.data.source.text.text_file import dataset_of_files
from juicecap.data.table import absolute, fingerprint_of
from juicecap.errors import DataError
from juicecap.fragment import without_fragment
from juicecap.sample import short_repr

if TYPE_CHECKING:
    from datasets import Dataset

COLUMN = "caption"

Stems = Mapping[str, str | None]
"""Path without its suffix -> path; None where several media have it."""


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a file that maps media to captions."""
    stems = _stems(Path(path), options)
    key = [] if stems is None else [fingerprint_of(*stems.items())]
    return dataset_of_files(path, [Path(path)], partial(records, options=options), options, key=key)


def is_map(path: Path, options: SourceOptions) -> bool:
    """Whether a `.json` file maps media to captions."""
    if inner_suffix(path) != ".json":
        return False
    try:
        first = _first(path)
        return first is not None and (_is_medium(first, options) or first in (_stems(path, options) or {}))
    except (DataError, OSError):
        return False


def records(path: Path, options: SourceOptions) -> Iterator[Record]:
    """One record for each medium, named by its position from 1.

    Raises:
        DataError: the file cannot be read, or its JSON is not valid.
    """
    stems = _stems(path, options)
    for number, (name, read) in enumerate(json_list.members(path), start=1):
        where = f"{path} (entry {number}, {short_repr(name)})"
        yield record(f"{path.name}:{number}", where, partial(_values, name, read, where, stems, options))


def _values(name: str, read: Callable[[str], Any], where: str, stems: Stems | None, options: SourceOptions) -> dict[str, Any]:
    value = read(where)
    if stems is not None:
        name = _path_of(name, stems, where)
    media = {options.media_column(without_fragment(name)) or options.video_key: [name]}
    if value is None:
        return media
    if isinstance(value, dict):
        if reason := next(filter(None, map(misnamed, value)), ""):
            raise BrokenRecord(where, reason)
        return {**media, **value}
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        return {**media, COLUMN: value}
    raise BrokenRecord(where, f"holds {short_repr(value)}. Write a caption, a list of captions, or an object with texts.")


def _path_of(name: str, stems: Stems, where: str) -> str:
    if name not in stems:
        raise BrokenRecord(where, "names no medium below the folder of the file. Write its path, with the suffix.")
    path = stems[name]
    if path is None:
        raise BrokenRecord(where, "names several media, which differ in their suffix. Write the path of one.")
    return path


def _stems(path: Path, options: SourceOptions) -> Stems | None:
    """The media that the names of a file without suffixes may stand for; None if it names them by their paths."""
    first = _first(path)
    if first is None or _is_medium(first, options):
        return None
    found: dict[str, str | None] = {}
    root = absolute(path).parent
    for name in folder.files_of(root, lambda each: options.media_column(each) is not None):
        path = root / name
        for stem in {path.stem, str(path.with_name(path.stem)), str(PurePath(name).with_name(path.stem))}:
            found[stem] = None if stem in found else name
    return found


def _is_medium(name: str, options: SourceOptions) -> bool:
    return options.media_column(without_fragment(name)) is not None


def _first(path: Path) -> str | None:
    """The first name of an object; None if the file holds something else, or nothing."""
    return next((name for name, _ in json_list.members(path)), None) if json_list.is_object(path) else None
