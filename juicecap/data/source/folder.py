"""A folder of videos, with all its folders, in order of names; or one video file. Each video is a record with one path.

Names that begin with a dot are passed over (such as the `._clip.mp4` that macOS leaves), and a folder that is linked into
itself is entered once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.record import Record, unreadable
from juicecap.data.source.options import Options
from juicecap.data.table import absolute, dataset_of_records, fingerprint_of
from juicecap.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset


def open_dataset(path: str, options: Options) -> Dataset:
    """The dataset of a folder of videos, or of one video. What is in the videos has no part in its fingerprint."""
    place = absolute(path)
    folder = place if place.is_dir() else place.parent
    read = partial(records, place, options)

    def key() -> list[object]:
        return [str(place), options.video_key, fingerprint_of(*(record.id for record in read()))]

    return dataset_of_records(
        read, key=key, folder=folder, empty=_nothing(place, options), cache=options.cache_folder, limit=options.limit
    )


def records(place: Path, options: Options) -> Iterator[Record]:
    """One record per video; its path, and its id, relative to the folder.

    Raises:
        DataError: a folder cannot be read, or a name cannot be written as UTF-8.
    """
    names = _videos(place, "", options, (os.path.realpath(place),)) if place.is_dir() else iter([place.name])
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise DataError(f"{place}: the name {name!r} is not valid UTF-8. Rename that file.") from None
        yield Record(name, str(place / name), {options.video_key: [name]})


def _videos(root: Path, prefix: str, options: Options, above: tuple[str, ...]) -> Iterator[str]:
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
            if real not in above:
                yield from _videos(root, f"{name}/", options, (*above, real))
        elif options.is_video(entry.name) and entry.is_file():
            yield name


def _nothing(place: Path, options: Options) -> str:
    return (
        f"{place} has no video files ({', '.join(options.video_suffixes)}). "
        "Give a folder that has some, or the path of a dataset file."
    )
