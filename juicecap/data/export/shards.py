"""An export in several files of about one size: a folder of shards with an index, which appears at once or not at all.

Number and names of the shards are those of Data-Juicer: by the size of the rows in memory, `NAME-00-of-03.jsonl`. Data-Juicer
writes them into the folder of the export path, where several files cannot be replaced in one step. Here they have a folder of
their own, `NAME/`. The index is YAML, since readers that take a whole folder would take JSON for rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import yaml

from juicecap.data.export.counted import Format, write_counted
from juicecap.data.export.rows import visible_columns
from juicecap.data.writing.atomic import replacing_folder, write_error
from juicecap.errors import DataError
from juicecap.plain import read_plain

if TYPE_CHECKING:
    from datasets import Dataset

INDEX = "index.yaml"

LARGEST_INDEX = 2**20
"""Bytes of an index that is read: that of some 14,000 shards."""


def write_shards(
    dataset: Dataset,
    folder: Path,
    format: Format,
    *,
    suffix: str,
    shard_size: int,
    owner: str,
    ready: Callable[[Path], None] | None = None,
) -> None:
    """Write all rows, in order, as shards of about `shard_size` bytes into `folder`, in place of an export that was there.

    `owner` and `ready` as for `atomic.replacing_folder`.

    Raises:
        DataError: a value does not fit the format, or `folder` holds other things or cannot be written.
        EnvironmentFailure: the disk is full or fails.
        BugError: a shard does not hold as many rows as were written.
    """
    number = _number_of_shards(dataset, shard_size)
    digits = len(str(number)) + 1
    with replacing_shards(folder, owner, ready) as unfinished:
        shards = []
        for index in range(number):
            rows = dataset.shard(number, index, contiguous=True)
            file = unfinished.path / f"{folder.name}-{index:0{digits}}-of-{number:0{digits}}.{suffix}"
            with file.open("xb") as stream:
                write_counted(rows, stream, format, str(folder / file.name))
                _sync(stream)
            shards.append({"file": file.name, "rows": len(rows), "bytes": file.stat().st_size})
        unfinished.write_index(suffix, len(dataset), shards)


class UnfinishedShards:
    """A folder of shards that are being written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_index(self, format: str, rows: int, shards: Sequence[Mapping[str, Any]]) -> None:
        """Write the index: of each shard its file, rows and bytes."""
        with (self.path / INDEX).open("xb") as stream:
            index = {"format": format, "rows": rows, "shards": list(shards)}
            stream.write(yaml.safe_dump(index, sort_keys=False, allow_unicode=True).encode())
            _sync(stream)


@contextmanager
def replacing_shards(folder: Path, owner: str, ready: Callable[[Path], None] | None = None) -> Iterator[UnfinishedShards]:
    """A new folder of shards, which takes the place of an earlier export when the block ends well; as `atomic.replacing_folder`.

    Raises:
        DataError: `folder` holds other things, or cannot be written.
        EnvironmentFailure: the disk is full or fails.
    """
    check_folder(folder)

    def still(temporary: Path) -> None:
        if ready:
            ready(temporary)
        check_folder(folder)  # all of its content will be removed, so check again at the last moment

    with replacing_folder(folder, owner, still) as temporary:
        yield UnfinishedShards(temporary)


def check_folder(folder: Path) -> None:
    """Do nothing if `folder` may be replaced: it does not exist, is empty, or holds an export in shards and nothing else.

    Raises:
        DataError: it holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} cannot be written: it is a file, and an export in shards is a folder. Give another path.")
    try:
        held = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise write_error(folder, error) from error
    if strangers := sorted(held - _files_of(folder)):
        raise DataError(
            f"{folder} cannot be written: it holds {strangers[0]}, which is no part of an export in shards. "
            "Give another path, or move what is in that folder."
        )


def _files_of(folder: Path) -> set[str]:
    """The names of an export's files, as its index has them; none if there is no index."""
    try:
        # Every value is read as a text: no tag of a hostile file makes anything else.
        index: Any = yaml.load(read_plain(folder / INDEX, LARGEST_INDEX).decode(), Loader=yaml.BaseLoader)  # noqa: S506
        return {INDEX, *(shard["file"] for shard in index["shards"] if isinstance(shard["file"], str))}
    except (OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError):
        return set()


def _number_of_shards(dataset: Dataset, shard_size: int) -> int:
    visible = dataset.select_columns(visible_columns(dataset))
    stored = len(visible.data)  # a selection of rows shares the table of the whole
    size = visible.data.nbytes * len(dataset) / stored if stored else 0
    return max(1, min(int(size / shard_size) + 1, len(dataset)))


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
