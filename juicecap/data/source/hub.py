"""A dataset on the HuggingFace Hub: its split `train`, fetched and cached by `datasets`, in a process with limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.source.options import SourceOptions
from juicecap.data.source.tables.arrow_files import dataset_of_files
from juicecap.data.source.tables.foreign import Refusal
from juicecap.data.source.with_origin import with_origin
from juicecap.errors import DataError, EnvironmentFailure
from juicecap.isolated import IsolatedProcess, Stopped
from juicecap.text import reason_of

if TYPE_CHECKING:
    from datasets import Dataset

MEMORY = 1 << 33
"""Bytes that fetching may take: `datasets` unpacks groups of rows as a whole."""

FETCH = f"{__name__}:fetch"


def open_dataset(path: str, options: SourceOptions) -> Dataset:
    """The split `train` of the dataset named `path`. Media paths have no folder: they are absolute, or of no use.

    Raises:
        DataError: there is no such dataset, or it cannot be read.
        EnvironmentFailure: the Hub cannot be reached.
    """
    refuse = _refusal(path)
    try:
        with IsolatedProcess(memory=MEMORY) as process:
            found = process.call(FETCH, path)
    except Stopped as stopped:
        raise refuse(str(stopped)) from stopped
    files = [Path(file) for file in found["files"]]
    dataset = dataset_of_files(
        files, found["features"], name=path, limit=options.limit, cache=options.cache_folder, refuse=refuse
    )
    return with_origin(dataset, path, "", [path, found["fingerprint"]], sum(file.stat().st_size for file in files), options)


def fetch(path: str) -> Mapping[str, Any]:
    """Fetch a dataset and return where its Arrow files are; runs in a child. `datasets` runs no scripts of the Hub (since 4.0).

    Raises:
        DataError: there is no such dataset, or it cannot be read.
        EnvironmentFailure: the Hub cannot be reached.
    """
    import datasets
    from datasets.exceptions import DatasetNotFoundError

    try:
        dataset = datasets.load_dataset(path, split="train")
    except DatasetNotFoundError as error:
        raise DataError(f"{path} does not exist: no such file or folder here, and no dataset of that name on the Hub.") from error
    except ConnectionError as error:
        raise EnvironmentFailure(
            f"{path} is no file or folder here, and the Hub cannot be reached to look there: {reason_of(error)}. "
            "Check the path or the network."
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # libraries may raise anything over foreign files
        raise _refusal(path)(reason_of(error)) from error
    files = [file["filename"] for file in dataset.cache_files]
    return {"files": files, "features": dataset.features.to_dict(), "fingerprint": dataset._fingerprint}  # noqa: SLF001  (datasets has no public name for it)


def _refusal(path: str) -> Refusal:
    return Refusal(f"{path} on the Hub cannot be read: ", f". Try datasets.load_dataset({path!r}, split='train').")
