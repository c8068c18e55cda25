"""A folder of videos, with all its folders, in order of names; or one video file. Each video is a record with one path.

Where there is no video, the pictures are taken. Each stands in the column of its kind.

Names that begin with a dot are passed over (such as the `._clip.mp4` that macOS leaves), and a folder that is linked into
itself is entered once. Folders in which the system tells of itself are not entered.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.record import Record, unreadable
from juicecap.data.source.options import IMAGE_SUFFIXES, Options
from juicecap.data.table import absolute, dataset_of_records, fingerprint_of
from juicecap.errors import DataError
from juicecap.naming import unwritable

if TYPE_CHECKING:
    from datasets import Dataset


SYSTEM = ("/proc/", "/sys/")


def open_dataset(path: str, options: Options) -> Dataset:
    """The dataset of a folder of videos, or of one video. What is in the videos has no part in its fingerprint."""
    place = absolute(path)
    folder = place if place.is_dir() else place.parent
    read = partial(records, place, options)

    def key() -> list[object]:
        return [str(place), options.video_key, fingerprint_of(*(record.id for record in read()))]

    return dataset_of_records(
        read,
        key=key,
        folder=folder,
        empty=_nothing(place, options),
        cache=options.cache_folder,
        limit=options.limit,
        keep_broken=options.keep_broken,
    )


def records(place: Path, options: Options) -> Iterator[Record]:
    """One record per video; its path, and its id, relative to the folder.

    Raises:
        DataError: a folder cannot be read, or a name cannot be written as UTF-8.
    """
    for name in _names(place, options) if place.is_dir() else [place.name]:
        if why := unwritable(name):
            raise DataError(f"{place}: the name {name!r} {why}")
        yield Record(name, str(place / name), {options.media_column(name) or options.video_key: [name]})


def _names(folder: Path, options: Options) -> Iterator[str]:
    top = (os.path.realpath(folder),)
    videos = _files(folder, "", options.is_video, top)
    first = next(videos, None)
    if first is not None:
        yield from itertools.chain([first], videos)
    elif not options.suffixes:
        yield from _files(folder, "", lambda name: name.lower().endswith(IMAGE_SUFFIXES), top)


def _files(root: Path, prefix: str, is_taken: Callable[[str], bool], above: tuple[str, ...]) -> Iterator[str]:
    folder = root / prefix
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(folder, error) from error
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            real = os.path.realpath(entry.path)
            if real not in above and not is_of_the_system(real):
                yield from _files(root, f"{name}/", is_taken, (*above, real))
        elif is_taken(entry.name) and entry.is_file():
            yield name


def is_of_the_system(real: str) -> bool:
    """Whether a folder, without links in its path, is one whose content the system makes up: it has no end, and no media."""
    return f"{real}/".startswith(SYSTEM)


def _nothing(place: Path, options: Options) -> str:
    return (
        f"{place} has no videos ({', '.join(options.video_suffixes)}) and no pictures. "
        "Give a folder that has some, or the path of a dataset file."
    )
