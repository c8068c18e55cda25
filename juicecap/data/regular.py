"""Reading a small file whose path somebody named: only what is a regular file, and never more of it than it may have."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""A pipe that takes a file's place between two looks must not hold up who opens it."""


class NotRegular(OSError):
    """A pipe, a socket or a device: reading it may wait for ever, or do something."""


def read_regular(path: str | Path, most: int) -> bytes:
    """The bytes of a regular file, links followed; of one with more than `most` bytes the first `most + 1`.

    Raises:
        NotRegular: it is something else, which is not opened.
        OSError: it is not there, is a folder, or cannot be read.
        ValueError: no path can look like this.
    """
    _expect_regular(os.stat(path))
    with open(os.open(path, _FLAGS), "rb") as stream:  # noqa: PTH123  (a descriptor, not a path)
        _expect_regular(os.fstat(stream.fileno()))
        return stream.read(most + 1)


def _expect_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise NotRegular(errno.EINVAL, "is no regular file")
