"""A dataset on the HuggingFace Hub: its split `train`, fetched and cached by `datasets`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from juicecap.data.record import reason_of
from juicecap.data.source.options import Options
from juicecap.data.source.with_origin import with_origin
from juicecap.errors import DataError, EnvironmentFailure

if TYPE_CHECKING:
    from datasets import Dataset


def open_dataset(path: str, options: Options) -> Dataset:
    """The split `train` of the dataset named `path`. Media paths have no folder: they are absolute, or of no use.

    Raises:
        DataError: there is no such dataset, or it cannot be read.
        EnvironmentFailure: the Hub cannot be reached.
    """
    import datasets
    import pyarrow as pa
    from datasets.exceptions import DatasetNotFoundError, DatasetsError

    try:
        dataset = datasets.load_dataset(path, split="train")
    except DatasetNotFoundError as error:
        raise DataError(f"{path} does not exist: no such file or folder here, and no dataset of that name on the Hub.") from error
    except ConnectionError as error:
        raise EnvironmentFailure(
            f"{path} is no file or folder here, and the Hub cannot be reached to look there: {reason_of(error)}. "
            "Check the path or the network."
        ) from error
    except (DatasetsError, OSError, ValueError, KeyError, TypeError, RuntimeError, pa.ArrowException) as error:
        raise DataError(
            f"{path} on the Hub cannot be read: {reason_of(error)}. Try datasets.load_dataset({path!r}, split='train')."
        ) from error
    return with_origin(dataset, path, "", [path, dataset._fingerprint], options)  # noqa: SLF001  (datasets has no public name for it)
