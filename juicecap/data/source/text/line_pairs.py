"""A folder with a list of media and a list of their captions, `videos.txt` and `prompts.txt`: line by line they belong together.

CogVideo, finetrainers and FastVideo read it. Paths start at the folder, or at the `videos` in it. A line that is blank in both
files is none; a medium whose line of the other file is blank lacks its caption. If one file has more lines than the other, it is
not known which belong together, and the lists cannot be read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from juicecap.data.compressed import lines
from juicecap.data.record import BrokenRecord, Record, decoded, record
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.text.text_file import dataset_of_files
from juicecap.errors import DataError
from juicecap.fragment import without_fragment

if TYPE_CHECKING:
    from datasets import Dataset

MEDIA = ("videos.txt", "video.txt", "images.txt", "image.txt")
CAPTIONS = ("prompts.txt", "prompt.txt", "captions.txt", "caption.txt")
"""Names of the lists; of several the first."""

COLUMN = "caption"

INNER = "videos"
"""Folder in which media may lie whose names do not say so."""


class Pair(NamedTuple):
    """The two lists."""

    media: Path
    captions: Path


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The dataset of a folder with two lists."""
    pair = pair_of(Path(path))
    assert pair
    return dataset_of_files(path, [pair.media], lambda _: _records(pair, options), options, beside=[pair.captions])


def pair_of(folder: Path) -> Pair | None:
    """The lists of a folder; None if it lacks one of them."""
    found = [next((folder / name for name in names if (folder / name).is_file()), None) for names in (MEDIA, CAPTIONS)]
    media, captions = found
    return Pair(media, captions) if media and captions else None


def records(folder: Path, options: SourceOptions) -> Iterator[Record]:
    """One record for each line, named by it, with the folder that its path is relative to.

    Raises:
        DataError: a list cannot be read, or has more lines than the other.
    """
    pair = pair_of(folder)
    for each in _records(pair, options) if pair else ():
        yield each._replace(folder=str(folder.absolute()))


def path_in(folder: Path, named: str) -> str:
    """A path as it leads from `folder` to a file, which may lie in the folder's `videos`."""
    file = without_fragment(named)
    inner = not (folder / file).exists() and (folder / INNER / file).exists()
    return f"{INNER}/{named}" if inner else named


def _records(pair: Pair, options: SourceOptions) -> Iterator[Record]:
    for number, (media, caption) in enumerate(itertools.zip_longest(_lines(pair.media), _lines(pair.captions)), start=1):
        if not media and not caption:
            continue
        if media is None or caption is None:
            longer, shorter = reversed(pair) if media is None else pair
            raise DataError(
                f"{longer} has a line {number}, and {shorter} has not. Line by line they belong together: mend the lists."
            )
        where = f"{pair.media}:{number}"
        yield record(f"{pair.media.name}:{number}", where, partial(_values, media, caption, where, pair, options))


def _lines(path: Path) -> Iterator[bytes]:
    return (line.strip() for _, line in lines(path))


def _values(media: bytes, caption: bytes, where: str, pair: Pair, options: SourceOptions) -> dict[str, Any]:
    if not media:
        raise BrokenRecord(where, f"is blank, and {pair.captions.name} has a text there. Name the medium or remove both lines.")
    named = path_in(pair.media.parent, decoded(media, where))
    values: dict[str, Any] = {options.media_column(without_fragment(named)) or options.video_key: [named]}
    if caption:
        values[COLUMN] = decoded(caption, where)
    return values
