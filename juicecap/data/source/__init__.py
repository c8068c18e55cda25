"""Opening a dataset: one file per format, chosen by what stands at the path.

A file is read by its suffix, a folder is one that `Dataset.save_to_disk` wrote or one of videos, and a name such as
`org/name` that is no path here is a dataset on the HuggingFace Hub. Values come as they were written (see `infer`), and each
row carries the hidden column `sample.ORIGIN`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.source.options import Options
from juicecap.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

FORMATS: Mapping[str, str] = {
    "csv": "csv_table",
    "folder": "folder",
    "hub": "hub",
    "json": "json_list",
    "jsonl": "jsonl",
    "parquet": "parquet",
    "saved": "saved",
    "tsv": "csv_table",
}
"""Format -> module of this package; each has `open_dataset(path, options)`."""

SUFFIXES: Mapping[str, str] = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".parquet": "parquet", ".tsv": "tsv"}
"""Suffix of a file -> format."""

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def open_source(
    path: str,
    *,
    cache_folder: Path | None = None,
    video_key: str = "videos",
    suffixes: Sequence[str] | None = None,
    limit: int | None = None,
) -> Dataset:
    """The dataset at `path`, memory-mapped, its fingerprint made from the state of the source.

    `cache_folder` receives an Arrow file (default: a folder in the cache of `datasets`). `video_key` names the column of
    paths and `suffixes` says what counts as a video where the source is a folder. `limit` takes only the first records.

    Raises:
        DataError: there is nothing to read at `path`, or it is broken.
        EnvironmentFailure: the disk is full or the Hub cannot be reached.
    """
    if limit is not None and limit < 1:
        raise DataError(f"the limit for {path} is {limit}; it must be at least 1. Leave it out to read all records.")
    options = Options(cache_folder=cache_folder, video_key=video_key, suffixes=tuple(suffixes or ()), limit=limit)
    module = importlib.import_module(f"{__name__}.{FORMATS[format_of(path, options)]}")
    dataset: Dataset = module.open_dataset(path, options)
    return dataset


def format_of(path: str, options: Options | None = None) -> str:
    """The format (a key of `FORMATS`) of what stands at `path`. Reads nothing but names.

    Raises:
        DataError: nothing is there, or nothing that can be read.
    """
    if not path:
        raise DataError("the path of the dataset is empty. Give a dataset file, a folder, or a Hub name such as org/name.")
    options = options or Options()
    place = Path(path)
    suffix = place.suffix.lower()
    if place.is_dir():
        return _format_of_folder(place)
    if place.is_file():
        if options.is_video(place.name):
            return "folder"
        if suffix in SUFFIXES:
            return SUFFIXES[suffix]
        raise DataError(
            f"{path} cannot be read: the suffix {suffix!r} is unknown. Known are {', '.join(SUFFIXES)}, and videos: "
            f"{', '.join(options.video_suffixes)}."
        )
    if place.exists() or suffix in SUFFIXES or options.is_video(place.name) or not HUB_NAME.fullmatch(path):
        problem = "is neither a file nor a folder" if place.exists() else "does not exist"
        raise DataError(f"{path} {problem}. Give a dataset file, a folder, or a Hub name such as org/name.")
    return "hub"


def _format_of_folder(folder: Path) -> str:
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(child.name for child in folder.iterdir() if (child / "state.json").is_file())
        raise DataError(
            f"{folder} holds splits, not one dataset. Give the path of one: {', '.join(f'{folder}/{name}' for name in splits)}."
        )
    is_saved = (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    return "saved" if is_saved else "folder"
