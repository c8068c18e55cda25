"""A folder that `Dataset.save_to_disk` wrote. It is used where it lies; only the hidden column is written beside it.

Relative media paths are resolved against the folder in which the saved folder lies, as for a file of its name, unless the
dataset carries its own `ORIGIN`. The folder's JSON files are read here and not by `datasets`: they name files and objects.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from juicecap.data.record import LONGEST, BrokenRecord, decoded, parse_object
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.tables.arrow_files import dataset_of_files
from juicecap.data.source.tables.foreign import Refusal
from juicecap.data.source.with_origin import with_origin
from juicecap.data.table import absolute, file_key
from juicecap.errors import DataError
from juicecap.sample import short_repr

if TYPE_CHECKING:
    from datasets import Dataset


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The saved dataset.

    Raises:
        DataError: the folder is damaged.
    """
    folder = absolute(path)
    refuse = refusal(path)
    key = [file_key(file) for file in sorted(folder.iterdir()) if file.is_file()]
    files = files_of(folder, refuse)
    if not files:
        raise DataError(f"{path} has no records. Give a dataset with at least one.")
    info = _read(folder / "dataset_info.json", refuse)
    dataset = dataset_of_files(
        files, info.get("features"), name=path, limit=options.limit, cache=options.cache_folder, refuse=refuse
    )
    size = sum(file.stat().st_size for file in files)
    return with_origin(dataset, folder.name, str(folder.parent), key, size, options)


def refusal(path: str | Path) -> Refusal:
    """Makes the error about a folder that is damaged."""
    return Refusal(f"{path} is damaged: ", ". Save the dataset again.")


def _read(file: Path, refuse: Refusal) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            return parse_object(decoded(stream.read(LONGEST + 1), file.name), file.name)
    except BrokenRecord as broken:
        raise refuse(f"{file.name}: {broken.reason.rstrip('.')}") from None
    except OSError as error:
        raise refuse(f"{file.name} cannot be read ({error.strerror})") from error


def files_of(folder: Path, refuse: Refusal) -> list[Path]:
    """The Arrow files that `state.json` names, which lie in the folder.

    Raises:
        DataError: it names no files, or others.
    """
    listed = _read(folder / "state.json", refuse).get("_data_files")
    if not isinstance(listed, list):
        raise refuse("state.json does not name its files")
    files = []
    for each in listed:
        name = each.get("filename") if isinstance(each, dict) else None
        if not isinstance(name, str) or name in ("", "..") or PurePath(name).name != name or "\0" in name:
            raise refuse(f"state.json names the file {short_repr(name)}, which does not lie in that folder")
        if not os.path.isfile(folder / name):
            raise refuse(f"{short_repr(name)} is missing")
        files.append(folder / name)
    return files
