"""A folder of videos, with all its folders, in order of names; or one video file. Each video is a record with one path.

Where there is no video, the pictures are taken. Each stands in the column of its kind.

Names that begin with a dot are passed over (such as the `._clip.mp4` that macOS leaves), and a folder that is linked into
itself is entered once. Links between a few folders can make up more paths than there are atoms: a folder that is met in too many
places is an error. Folders in which the system tells of itself are not entered.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from juicecap.data.record import Record, unreadable
from juicecap.data.source.options import IMAGE_SUFFIXES, Options
from juicecap.data.table import absolute, dataset_of_records, fingerprint_of
from juicecap.errors import DataError
from juicecap.naming import unwritable

if TYPE_CHECKING:
    from datasets import Dataset


PLACES = 1000
"""Places at which one folder may be met, by links."""

SYSTEM = ("/proc/", "/sys/")


def open_dataset(path: str, options: Options) -> Dataset:
    """The dataset of a folder of videos, or of one video. What is in the videos has no part in its fingerprint."""
    location = absolute(path)
    folder = location if location.is_dir() else location.parent
    read = partial(records, location, options)

    def key() -> list[object]:
        return [str(location), options.video_key, fingerprint_of(*(record.id for record in read()))]

    return dataset_of_records(
        read,
        key=key,
        folder=folder,
        empty=_nothing(location, options),
        cache=options.cache_folder,
        limit=options.limit,
        keep_broken=options.keep_broken,
    )


def records(location: Path, options: Options) -> Iterator[Record]:
    """One record per video; its path, and its id, relative to the folder.

    Raises:
        DataError: a folder cannot be read, or a name cannot be written as UTF-8.
    """
    for name in _names(location, options) if location.is_dir() else [location.name]:
        if why := unwritable(name):
            raise DataError(f"{location}: {name!r} {why}")
        yield Record(name, str(location / name), {options.media_column(name) or options.video_key: [name]})


def _names(folder: Path, options: Options) -> Iterator[str]:
    videos = _files(folder, options.is_video)
    first = next(videos, None)
    if first is not None:
        yield from itertools.chain([first], videos)
    elif not options.suffixes:
        yield from _files(folder, lambda name: name.lower().endswith(IMAGE_SUFFIXES))


def _files(root: Path, is_taken: Callable[[str], bool]) -> Iterator[str]:
    """Paths below `root`, in order of names. Folders lie in each other deeper than Python calls go, so none calls itself here."""
    met: Counter[_Number] = Counter()
    open_folders = [_Folder("", _number(os.stat(root)), _entries(root))]
    while open_folders:
        folder = open_folders[-1]
        entry = next(folder.entries, None)
        if entry is None:
            open_folders.pop()
            continue
        name = f"{folder.prefix}{entry.name}"
        number, is_file = _kind(entry, is_taken)
        if number:
            if any(number == each.number for each in open_folders) or is_of_the_system(os.path.realpath(entry.path)):
                continue
            met[number] += 1
            if met[number] > PLACES:
                what = f"{entry.path} is met in more than {PLACES:,} places below {root}"
                raise DataError(f"{what}. Remove links to folders from there.")
            open_folders.append(_Folder(f"{name}/", number, _entries(root / name)))
        elif is_file:
            yield name


_Number = tuple[int, int]
"""What tells a folder from all others."""


class _Folder(NamedTuple):
    """A folder that is being listed."""

    prefix: str
    number: _Number
    entries: Iterator[os.DirEntry[str]]


def _number(state: os.stat_result) -> _Number:
    return state.st_dev, state.st_ino


def _kind(entry: os.DirEntry[str], is_taken: Callable[[str], bool]) -> tuple[_Number | None, bool]:
    """The number of a folder, and whether it is a file that is taken; neither where a link leads to nothing or to itself."""
    try:
        if entry.is_dir():
            return _number(entry.stat()), False
        return None, is_taken(entry.name) and entry.is_file()
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOENT, errno.ENOTDIR):
            return None, False
        raise unreadable(Path(entry.path), error) from error


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            seen = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(folder, error) from error
    return iter(seen)


def is_of_the_system(real: str) -> bool:
    """Whether a folder, without links in its path, is one whose content the system makes up: it has no end, and no media."""
    return f"{real}/".startswith(SYSTEM)


def _nothing(location: Path, options: Options) -> str:
    return (
        f"{location} has no videos ({', '.join(options.video_suffixes)}) and no pictures. "
        "Give a folder that has some, or the path of a dataset file."
    )
