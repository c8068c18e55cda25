"""A folder of videos, with all its subfolders, in order of names; or one video file. Each video is a record with one path.

If there is no video, the pictures are taken. Each path goes into the column of its kind, and texts beside the media into columns
of their own if they are asked for (`sidecar`).

Names that begin with a dot are skipped (such as the `._clip.mp4` that macOS leaves), and a folder that is linked into itself is
entered once. Links between a few folders can form a vast number of paths: a folder that is found in too many places is an error.
Folders of the system such as `/proc` are not entered.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from juicecap.data.record import Record, record, unreadable
from juicecap.data.source import sidecar
from juicecap.data.source.options import AUDIO_SUFFIXES, IMAGE_SUFFIXES, SourceOptions
from juicecap.data.table import absolute, dataset_of_records, fingerprint_of
from juicecap.errors import DataError
from juicecap.naming import unwritable
from juicecap.notice import say_once
from juicecap.printable import escaped

if TYPE_CHECKING:
    from datasets import Dataset


PLACES = 1000
"""Paths, through links, at which one folder may be found."""

_KINDS = 8
"""Kinds of files that are named by their suffix."""

SYSTEM = ("/proc/", "/sys/")


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a folder of videos, or of one video. The content of the videos is not part of its fingerprint."""
    location = absolute(path)
    folder = location if location.is_dir() else location.parent
    read = partial(records, location, options)

    def key() -> list[object]:
        passed.clear()
        names = list(_checked_names(location, options, passed))
        return [str(location), options.video_key, fingerprint_of(*names), *sidecar.states(folder, names, options)]

    passed = PassedOver()
    dataset = dataset_of_records(
        read,
        key=key,
        folder=folder,
        empty=_nothing(location, options),
        cache=options.cache_folder,
        limit=options.limit,
        keep_broken=options.keep_broken,
    )
    if sentence := passed.sentence(location):
        say_once(sentence)
    return dataset


class PassedOver(Counter[str]):
    """The number of files of a folder that are skipped, by their kind."""

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
            self[f"suffix {escaped(suffix)}" if suffix and len(self) < _KINDS else "other kinds"] += 1

    def sentence(self, location: Path) -> str:
        """The sentence; empty if all files were taken."""
        if not self:
            return ""
        kinds = ", ".join(f"{kind} ({number:,})" for kind, number in sorted(self.items(), key=lambda each: (-each[1], each[0])))
        files = "1 file is" if self.total() == 1 else f"{self.total():,} files are"
        return f"{location}: {files} passed over: {kinds}"


def records(location: Path, options: SourceOptions, passed: PassedOver | None = None) -> Iterator[Record]:
    """One record per video; its path, and its id, relative to the folder. Skipped files are counted in `passed`.

    Raises:
        DataError: a folder cannot be read, or a name cannot be written as UTF-8.
    """
    folder = location if location.is_dir() else location.parent
    for name in _checked_names(location, options, passed):
        where = str(folder / name)
        yield record(name, where, partial(_values, folder, name, where, options))


def _values(folder: Path, name: str, where: str, options: SourceOptions) -> dict[str, Any]:
    media = {options.media_column(name) or options.video_key: [name]}
    return {**media, **sidecar.texts_beside(folder, name, where, options)}


def _checked_names(location: Path, options: SourceOptions, passed: PassedOver | None) -> Iterator[str]:
    for name in _names(location, options, passed) if location.is_dir() else [location.name]:
        if why := unwritable(name):
            raise DataError(f"{location}: {name!r} {why}")
        yield name


def _names(folder: Path, options: SourceOptions, passed: PassedOver | None) -> Iterator[str]:
    def counted(is_taken: Callable[[str], bool], name: str) -> bool:
        taken = is_taken(name)
        if not taken and passed is not None and not (options.sidecar_suffixes and name.endswith(options.sidecar_suffixes)):
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
    """Paths below `root`, in order of names. Folders can be nested deeper than Python's recursion limit, so this is a loop."""
    met: Counter[_Number] = Counter()
    open_folders = [_Folder("", _number(os.stat(root)), os.path.realpath(root), _entries(root))]
    while open_folders:
        folder = open_folders[-1]
        entry = next(folder.entries, None)
        if entry is None:
            open_folders.pop()
            continue
        name = f"{folder.prefix}{entry.name}"
        number, is_file = _kind(entry, is_taken)
        if number:
            if any(number == each.number for each in open_folders):
                continue
            real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(folder.real, entry.name)
            if is_of_the_system(real):
                continue
            met[number] += 1
            if met[number] > PLACES:
                what = f"{entry.path} is met in more than {PLACES:,} places below {root}"
                raise DataError(f"{what}. Remove links to folders from there.")
            open_folders.append(_Folder(f"{name}/", number, real, _entries(root / name)))
        elif is_file:
            yield name


_Number = tuple[int, int]
"""What identifies a folder: device and number."""


class _Folder(NamedTuple):
    """A folder that is being listed."""

    prefix: str
    number: _Number
    real: str
    """Its path without links."""
    entries: Iterator[os.DirEntry[str]]


def _number(state: os.stat_result) -> _Number:
    return state.st_dev, state.st_ino


def _kind(entry: os.DirEntry[str], is_taken: Callable[[str], bool]) -> tuple[_Number | None, bool]:
    """The identity of a folder, and whether it is a file to take; neither if a link leads to nothing or to itself."""
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
    """Whether a folder, given without links in its path, is one that the system generates: it has no end, and no media."""
    return f"{real}/".startswith(SYSTEM)


def _nothing(location: Path, options: SourceOptions) -> str:
    return (
        f"{location} has no videos ({escaped(', '.join(options.video_suffixes))}) and no pictures. "
        "Give a folder that has some, or the path of a dataset file."
    )
