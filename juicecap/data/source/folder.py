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
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, NamedTuple

from juicecap.data.record import Record, unreadable
from juicecap.data.source.options import AUDIO_SUFFIXES, IMAGE_SUFFIXES, SourceOptions
from juicecap.data.table import absolute, dataset_of_records, fingerprint_of
from juicecap.errors import DataError
from juicecap.naming import unwritable
from juicecap.notice import say_once

if TYPE_CHECKING:
    from datasets import Dataset


PLACES = 1000
"""Places at which one folder may be met, by links."""

_KINDS = 8
"""Kinds of files that are told by their suffix."""

SYSTEM = ("/proc/", "/sys/")


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a folder of videos, or of one video. What is in the videos has no part in its fingerprint."""
    place = absolute(path)
    folder = place if place.is_dir() else place.parent
    read = partial(records, place, options)

    def key() -> list[object]:
        passed.clear()
        return [str(place), options.video_key, fingerprint_of(*(record.id for record in records(place, options, passed)))]

    passed = PassedOver()
    dataset = dataset_of_records(
        read,
        key=key,
        folder=folder,
        empty=_nothing(place, options),
        cache=options.cache_folder,
        limit=options.limit,
        keep_broken=options.keep_broken,
    )
    if told := passed.told(place):
        say_once(told)
    return dataset


class PassedOver(Counter[str]):
    """How many files of a folder are not taken, by what they are."""

    def count(self, name: str, options: SourceOptions) -> None:
        """Count one."""
        lower = name.lower()
        column = options.media_column(name)
        if column == options.image_key and lower.endswith(IMAGE_SUFFIXES):
            self["pictures beside videos"] += 1
        elif column == options.audio_key and lower.endswith(AUDIO_SUFFIXES):
            self["sounds"] += 1
        else:
            suffix = PurePath(lower).suffix
            self[f"suffix {suffix}" if suffix and len(self) < _KINDS else "other kinds"] += 1

    def told(self, place: Path) -> str:
        """The sentence; empty if all was taken."""
        if not self:
            return ""
        kinds = ", ".join(f"{kind} ({number:,})" for kind, number in sorted(self.items(), key=lambda each: (-each[1], each[0])))
        files = "1 file is" if self.total() == 1 else f"{self.total():,} files are"
        return f"{place}: {files} passed over: {kinds}"


def records(place: Path, options: SourceOptions, passed: PassedOver | None = None) -> Iterator[Record]:
    """One record per video; its path, and its id, relative to the folder. What is not taken is counted in `passed`.

    Raises:
        DataError: a folder cannot be read, or a name cannot be written as UTF-8.
    """
    for name in _names(place, options, passed) if place.is_dir() else [place.name]:
        if why := unwritable(name):
            raise DataError(f"{place}: {name!r} {why}")
        yield Record(name, str(place / name), {options.media_column(name) or options.video_key: [name]})


def _names(folder: Path, options: SourceOptions, passed: PassedOver | None) -> Iterator[str]:
    def counted(is_taken: Callable[[str], bool], name: str) -> bool:
        taken = is_taken(name)
        if not taken and passed is not None:
            passed.count(name, options)
        return taken

    videos = files_of(folder, partial(counted, options.is_video))
    first = next(videos, None)
    if first is not None:
        yield from itertools.chain([first], videos)
    elif not options.suffixes:
        if passed is not None:
            passed.clear()
        yield from files_of(folder, partial(counted, lambda name: name.lower().endswith(IMAGE_SUFFIXES)))


def files_of(root: Path, is_taken: Callable[[str], bool]) -> Iterator[str]:
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


def _nothing(place: Path, options: SourceOptions) -> str:
    return (
        f"{place} has no videos ({', '.join(options.video_suffixes)}) and no pictures. "
        "Give a folder that has some, or the path of a dataset file."
    )
