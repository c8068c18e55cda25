"""Writing rows into a stream and counting them there, so that no row is lost unnoticed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from juicecap.errors import BugError

if TYPE_CHECKING:
    from datasets import Dataset


class Format(Protocol):
    """A module of this package."""

    def write(self, dataset: Dataset, stream: BinaryIO) -> None:
        """Write all rows."""

    def count(self, path: Path) -> int:
        """The number of rows in a file."""


def write_counted(dataset: Dataset, stream: BinaryIO, format: Format, path: str) -> None:
    """Write all rows into the open file behind `stream`, and count the rows of that file. `path` is for messages.

    Raises:
        DataError: a value does not fit the format.
        BugError: it does not hold as many rows as were written.
    """
    format.write(dataset, stream)
    stream.flush()
    found = format.count(Path(stream.name))
    if found != len(dataset):
        raise BugError(f"{path}: {len(dataset)} rows were written but {found} were read back. Nothing was exported.")
