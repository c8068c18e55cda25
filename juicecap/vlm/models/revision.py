"""What a local model is by its files, wherever they lie: part of the keys of its answers, and so of their seeds.

Files count by name and content; of large ones (weights, mostly) their size, header and blocks count (`file_blocks`). So equal
files in two folders are one model, and to copy or touch them changes nothing. Training changes all weights, and merging an
adapter changes whole matrices, which are longer than the distance between two blocks as a rule.

Not covered: subfolders; a large file of which only a few bytes were changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from juicecap.file_blocks import WHOLE_UP_TO, blocks
from juicecap.plain import open_plain
from juicecap.vlm.models.json_files import read_bytes, unreadable
from juicecap.vlm.models.names import DEMO_MODEL, model_folder

MOST_HEADER_BYTES = 2**25
"""Of a file of weights. The largest of real models have a tenth."""

_BLOCK, _BLOCKS = 2**12, 256
"""Length and number of the blocks of a large file: a file of 5 GB has one for every 20 MB, less than most matrices of its model
take. A model has many such files, and they may lie on a network, so little is read of each."""

_LEGACY_WHOLE_UP_TO = 2**24 - 1


def lasting_name(name: str) -> str:
    """What of a model's name says the same on every machine: nothing of a folder's path."""
    return "" if name != DEMO_MODEL and model_folder(name) else name


def folder_revision(name: str) -> str:
    """A digest of a local model's files, in 12 hexadecimal digits; empty for what is no folder here.

    Raises:
        ModelError: one of them cannot be read.
    """
    return _revision(name, WHOLE_UP_TO, _parts)


def legacy_revision(name: str) -> str:
    """The same as versions before made it, which know large files by their sizes alone (`Journal.has_legacy_keys`).

    Raises:
        ModelError: as `folder_revision`.
    """
    return _revision(name, _LEGACY_WHOLE_UP_TO, _size_alone)


def _revision(name: str, whole_up_to: int, parts: Callable[[Path, int], Iterator[bytes]]) -> str:
    folder = model_folder(name)
    if not folder:
        return ""
    state = hashlib.blake2b(digest_size=6)
    try:
        for file, size in [(file, file.stat().st_size) for file in sorted(folder.iterdir()) if file.is_file()]:
            state.update(os.fsencode(file.name))
            for part in parts(file, size) if size > whole_up_to else [read_bytes(file, whole_up_to) or b""]:
                state.update(part)
    except OSError as error:
        raise unreadable(folder, error) from error
    return state.hexdigest()


def _size_alone(_: Path, size: int) -> Iterator[bytes]:
    yield str(size).encode()


def _parts(file: Path, size: int) -> Iterator[bytes]:
    """What stands for a large file: its size, the header of weights, which says what is where in them, and blocks."""
    fd = open_plain(file, follow=True)
    try:
        yield f" {size} ".encode()
        if file.suffix == ".safetensors":
            yield os.pread(fd, 8 + min(int.from_bytes(os.pread(fd, 8, 0), "little"), MOST_HEADER_BYTES), 0)
        yield from blocks(fd, size, length=_BLOCK, number=_BLOCKS)
    finally:
        os.close(fd)
