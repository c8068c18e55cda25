"""A folder that `Dataset.save_to_disk` wrote. It is used where it lies; only the hidden column is written beside it.

Relative media paths are resolved against the folder in which the saved folder lies, as for a file of its name, unless the
dataset carries its own `ORIGIN`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from juicecap.data.record import reason_of
from juicecap.data.source.options import Options
from juicecap.data.source.with_origin import with_origin
from juicecap.data.table import absolute, file_key
from juicecap.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset


def open_dataset(path: str, options: Options) -> Dataset:
    """The saved dataset.

    Raises:
        DataError: the folder is damaged.
    """
    import pyarrow as pa
    from datasets import load_from_disk

    place = absolute(path)
    key = [file_key(file) for file in sorted(place.iterdir()) if file.is_file()]
    try:
        dataset = load_from_disk(str(place))
    except IndexError:
        # `save_to_disk` writes no file for no rows, and `load_from_disk` stumbles over that.
        raise DataError(f"{path} has no records. Give a dataset with at least one.") from None
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{path} is damaged: {reason_of(error)}. Save the dataset again.") from error
    return with_origin(dataset, place.name, str(place.parent), key, options)
