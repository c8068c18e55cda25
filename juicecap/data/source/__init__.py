"""Opening a dataset: one module per format, chosen by what is found at the path.

A file is read by its suffix. A folder is one that `Dataset.save_to_disk` wrote, one with a table of metadata, one with a list of
media and one of captions, one of shards, or one of media. A name such as `org/name` that is no local path is a dataset on the
HuggingFace Hub. Values stay as they were written (see `infer`), and each row carries the hidden column `sample.ORIGIN`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.compressed import SUFFIXES as PACKED
from juicecap.data.compressed import inner_suffix
from juicecap.data.record import unreadable
from juicecap.data.source import metadata, mixture, several, sidecar
from juicecap.data.source.clean import cleaned
from juicecap.data.source.folder import is_of_the_system, records
from juicecap.data.source.options import MOST_RECORDS, SourceOptions
from juicecap.data.source.shards import webdataset
from juicecap.data.source.text import caption_map, file_list, line_pairs
from juicecap.data.surroundings import check_devices, import_datasets
from juicecap.errors import ArgumentError, DataError
from juicecap.naming import HUB_NAME, missing, quoted, unwritable
from juicecap.sample import display_path, short_repr

if TYPE_CHECKING:
    from datasets import Dataset

FORMATS: Mapping[str, str] = {
    "captions": "text.caption_map",
    "csv": "text.csv_table",
    "files": "text.file_list",
    "folder": "folder",
    "hub": "hub",
    "json": "text.json_list",
    "jsonl": "text.jsonl",
    "metadata": "metadata",
    "mixture": "mixture",
    "pairs": "text.line_pairs",
    "parquet": "tables.parquet",
    "saved": "tables.saved",
    "several": "several",
    "tsv": "text.csv_table",
    "webdataset": "shards.webdataset",
}
"""Format -> module of this package; each has `open_dataset(path, options)`."""

SUFFIXES: Mapping[str, str] = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".tar": "webdataset",
    ".tgz": "webdataset",
    ".tsv": "tsv",
    ".txt": "files",
}
"""Suffix of a file -> format."""

SHOWN_SPLITS = 20
"""Splits of a folder that a message names at most."""


def open_source(
    path: str | os.PathLike[str],
    *,
    cache_folder: Path | None = None,
    video_key: str = "videos",
    image_key: str = "images",
    audio_key: str = "audios",
    suffixes: Sequence[str] | None = None,
    sidecar_suffix: str | Sequence[str] = (),
    limit: int | None = None,
    media_max_mb: int | None = None,
    keep_broken: bool = False,
    max_sample_num: int | None = None,
    seed: int = 0,
    media_home: Path | None = None,
    clean: bool = False,
) -> Dataset:
    """The dataset at `path`, memory-mapped; its fingerprint comes from the state of the source.

    `cache_folder` receives an Arrow file, and media that are embedded in the dataset (default: a folder in the cache of
    `datasets`); `media_home` is another folder for such media. `video_key`, `image_key` and `audio_key` name the columns of
    paths where the source holds nothing but media, and `suffixes` selects the files of a folder. Texts beside the media of a
    folder that have a `sidecar_suffix` (`.txt`) are in a column of its name (`txt`). `limit` takes only the first records. A
    medium in a shard that has more than `media_max_mb` megabytes is not unpacked, and its record cannot be read. With
    `keep_broken` a single record that cannot be read is a row without values, with the reason in the column `BROKEN`. Of several
    datasets (`0.7 a.jsonl 0.3 b.jsonl`) `max_sample_num` rows are drawn by their weights and `seed`; without it all are taken.
    A `clean` dataset has no hidden column, and the paths of its media are absolute, so that whatever is made of it or written
    from it can be read anywhere.

    Raises:
        ArgumentError: an argument is of a wrong kind.
        DataError: there is nothing to read at `path`, or it is broken.
        EnvironmentFailure: the disk is full, the Hub cannot be reached, or devices of the system are missing.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(f"load_dataset takes a path, or the name of a dataset on the Hub, not {short_repr(path)}")
    path = os.fspath(path)
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool)):
        raise ArgumentError(f"limit= takes a whole number, not {short_repr(limit)}")
    check_devices()
    import_datasets()
    if why := unwritable(os.path.abspath(path)):
        raise DataError(f"{display_path(path)} {why}")
    if limit is not None and limit < 1:
        raise DataError(f"the limit for {path} is {limit}; it must be at least 1. Leave it out to read all records.")
    if limit is not None and limit > MOST_RECORDS:
        raise DataError(f"the limit for {path} is {limit}; it must be at most {MOST_RECORDS}. Leave it out to read all records.")
    options = SourceOptions(
        cache_folder=cache_folder,
        media_home=media_home,
        video_key=video_key,
        image_key=image_key,
        audio_key=audio_key,
        suffixes=tuple(suffixes or ()),
        sidecar_suffixes=sidecar.with_dots(sidecar_suffix),
        limit=limit,
        media_max_bytes=None if media_max_mb is None else media_max_mb << 20,
        keep_broken=keep_broken,
        max_sample_num=max_sample_num,
        seed=seed,
    )
    for suffix in options.sidecar_suffixes:
        if why := sidecar.unfit(suffix, options):
            raise DataError(f"sidecar_suffix: {why}")
    if clean and keep_broken:
        raise DataError("a clean dataset has no column that says why a record cannot be read: leave out clean or keep_broken")
    return cleaned(opened(path, options), options) if clean else opened(path, options)


def opened(path: str, options: SourceOptions) -> Dataset:
    """As `open_source`.

    Raises:
        DataError: as `open_source`.
    """
    try:
        format_ = format_of(path, options)
    except OSError as error:
        raise unreadable(Path(path), error) from error
    dataset: Dataset = importlib.import_module(f"{__name__}.{FORMATS[format_]}").open_dataset(path, options)
    return dataset


def format_of(path: str, options: SourceOptions | None = None) -> str:
    """The format (a key of `FORMATS`) of what is at `path`. Reads names, and the beginning of some files.

    Raises:
        DataError: nothing is there, or nothing that can be read.
    """
    if not path.strip():
        raise DataError("the path of the dataset is empty. Give a dataset file, a folder, or a Hub name such as org/name.")
    options = options or SourceOptions()
    if shares := mixture.shares_of(path):
        for share in shares:
            format_of(share.path, options)
        return "mixture"
    return _format_of_one(path, options)


def _format_of_one(path: str, options: SourceOptions) -> str:
    location = Path(path)
    suffix = inner_suffix(location)
    known = suffix in SUFFIXES and not (suffix == ".parquet" and location.suffix.lower() in PACKED)
    if location.is_dir():
        if is_of_the_system(os.path.realpath(location)):
            raise DataError(f"{path} is a folder in which the system tells of itself. Give a dataset file, or a folder of media.")
        return _format_of_folder(location, options)
    if location.is_file():
        if not known and (options.is_video(location.name) or options.media_column(location.name)):
            return "folder"
        if known:
            return _format_of_file(location, SUFFIXES[suffix], options)
        raise DataError(
            f"{path} cannot be read: the suffix {quoted(location.suffix.lower())} is unknown. Known are {', '.join(SUFFIXES)} "
            f"(text also packed, with {' or '.join(PACKED)} behind it), and videos: "
            f"{', '.join(options.video_suffixes)}."
        )
    if webdataset.is_pattern(path):
        return "webdataset"
    if not location.exists() and several.is_pattern(path):
        several.files_of(path, options)
        return "several"
    if location.exists() or known or options.is_video(location.name) or not HUB_NAME.fullmatch(path):
        problem = "is neither a file nor a folder" if location.exists() else missing(path)
        raise DataError(f"{path} {problem}. Give a dataset file, a folder, or a Hub name such as org/name.")
    return "hub"


def _format_of_folder(folder: Path, options: SourceOptions) -> str:
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(child.name for child in folder.iterdir() if (child / "state.json").is_file())
        shown = ", ".join(f"{folder}/{name}" for name in splits[:SHOWN_SPLITS])
        more = f", and {len(splits) - SHOWN_SPLITS:,} others" if len(splits) > SHOWN_SPLITS else ""
        raise DataError(f"{folder} holds splits, not one dataset. Give the path of one: {shown or 'it has none'}{more}.")
    if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
        return "saved"
    if metadata.metadata_files(folder, options):
        return "metadata"
    if line_pairs.pair_of(folder):
        return "pairs"
    if webdataset.shards_of(str(folder)):
        return "webdataset"
    if not options.suffixes and next(records(folder, options), None):
        return "folder"
    return "several" if several.tables_of(folder, options) else "folder"


def _format_of_file(file: Path, format_: str, options: SourceOptions) -> str:
    """By its suffix, unless its first bytes are those of another format."""
    if metadata.metadata_files(file, options):
        return "metadata"
    if format_ == "json" and caption_map.is_map(file, options):
        return "captions"
    return "files" if format_ in ("json", "jsonl") and file_list.lists_texts(file) else format_
