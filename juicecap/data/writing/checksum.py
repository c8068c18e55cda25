"""A checksum after the end of an Arrow file, by which a complete and undamaged table is recognised.

Readers of Arrow streams do not look behind the end. So table and checksum are one file, and appear in one step. It is XXH3 (128
bits) of all before it: against disks and kills, not against people.
"""

from __future__ import annotations

import os
from io import BufferedRandom, BufferedReader
from pathlib import Path

import xxhash

from juicecap.plain import open_plain

_MARK = b"\njuicecap xxh3 "
_LENGTH = len(_MARK) + 16
_BLOCK = 2**20


def append_checksum(path: Path) -> None:
    """Put the checksum of a file behind its end; whoever calls this flushes it to disk.

    Raises:
        OSError: the file cannot be read or written.
    """
    with path.open("r+b") as file:
        file.write(_checksum(file, file.seek(0, os.SEEK_END)))


def verify_checksum(path: Path) -> bool:
    """Whether the checksum matches the file. All of it is read.

    Raises:
        OSError: it cannot be read.
    """
    with os.fdopen(open_plain(path, follow=True), "rb") as file:
        length = file.seek(0, os.SEEK_END) - _LENGTH
        return length >= 0 and _checksum(file, length) == file.read()


def is_sealed(path: Path) -> bool:
    """Whether a plain file ends as those that were sealed do, whatever is in it. Only its end is read.

    Raises:
        OSError: it cannot be read.
    """
    with os.fdopen(open_plain(path), "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LENGTH))
        return file.read(len(_MARK)) == _MARK


def _checksum(file: BufferedReader | BufferedRandom, length: int) -> bytes:
    """That of the first `length` bytes, behind which the file stands then."""
    file.seek(0)
    state, block = xxhash.xxh3_128(), memoryview(bytearray(_BLOCK))
    while length and (read := file.readinto(block[: min(length, _BLOCK)])):
        state.update(block[:read])
        length -= read
    return _MARK + state.digest()
