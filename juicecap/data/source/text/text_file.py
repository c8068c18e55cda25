"""What the formats that hold records as text have in common: from a reader of records to a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.record import Record
from juicecap.data.source.options import SourceOptions
from juicecap.data.table import absolute, dataset_of_records, file_key

if TYPE_CHECKING:
    from datasets import Dataset


def dataset_of_file(path: str, records: Callable[[Path], Iterator[Record]], options: SourceOptions) -> Dataset:
    """The dataset of the records of one file; media paths are relative to the file's folder."""
    file = Path(path)
    return dataset_of_records(
        partial(records, file),
        key=partial(file_key, file),
        size=lambda: file.stat().st_size,
        folder=absolute(file).parent,
        empty=f"{path} has no records. Give a file with at least one.",
        cache=options.cache_folder,
        limit=options.limit,
        keep_broken=options.keep_broken,
    )
