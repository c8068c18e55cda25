"""What the formats that hold records as text have in common: from a reader of records to a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.record import Record
from juicecap.data.source.options import SourceOptions
from juicecap.data.table import absolute, dataset_of_records, file_key

if TYPE_CHECKING:
    from datasets import Dataset


def dataset_of_file(path: str, records: Callable[[Path], Iterator[Record]], options: SourceOptions) -> Dataset:
    """The dataset of the records of one file; media paths are relative to the file's folder."""
    return dataset_of_files(path, [Path(path)], records, options)


def dataset_of_files(
    path: str,
    files: Sequence[Path],
    records: Callable[[Path], Iterator[Record]],
    options: SourceOptions,
    *,
    beside: Sequence[Path] = (),
    key: Sequence[object] = (),
) -> Dataset:
    """The dataset of the records of several files, in order; media paths are relative to the folder of each.

    `beside` are files that are read along with them, and `key` what else the records depend on.
    """
    first = absolute(files[0]).parent
    columns = [options.video_key, options.image_key, options.audio_key, *options.suffixes]
    sources = [*files, *beside]

    def read() -> Iterator[Record]:
        for file in files:
            folder = absolute(file).parent
            for each in records(file):
                yield each if folder == first else each._replace(folder=str(folder))

    return dataset_of_records(
        read,
        key=lambda: [path, *map(file_key, sources), *columns, *key],
        size=lambda: sum(file.stat().st_size for file in sources),
        folder=first,
        empty=f"{path} has no records. Give a file with at least one.",
        cache=options.cache_folder,
        limit=options.limit,
        keep_broken=options.keep_broken,
    )
