"""Opens plain (regular) files only, whatever has their name, and never blocks.

Opening a named pipe may block for ever, and a device may do anything when it is opened. So the path is checked before it is
opened, and the open file again, and opening never blocks. No link is followed unless that is requested.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path

FLAGS = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""A pipe that replaces a file between the two checks must not block."""

_PIECE = 2**16
"""Bytes that are read of a pipe at a time."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}


class NotPlain(OSError):
    """A path names neither a plain file nor a folder; `strerror` says what it is."""


class TooLarge(OSError):
    """A file has more bytes than are read."""


def kind_of(state: os.stat_result) -> str:
    """The kind of a file: `a folder`, `a named pipe`; empty for a plain file."""
    kind = stat.S_IFMT(state.st_mode)
    return "" if kind == stat.S_IFREG else _KINDS.get(kind, "something else")


def kind_at(path: Path, *, follow: bool = False) -> str | None:
    """What stands at a path, as `kind_of`; None if there is nothing. `follow`: what a link leads to; else `a symbolic link`.

    Raises:
        OSError: that cannot be found out.
        ValueError: no file can have that name.
    """
    try:
        return kind_of(os.stat(path, follow_symlinks=follow))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link that leads in a circle
            return None
        raise


def open_plain(path: Path, flags: int = os.O_RDONLY, *, follow: bool = False) -> int:
    """The descriptor of a plain file; `flags` as for `os.open`, whose errors are raised as well.

    Raises:
        NotPlain: it is a pipe, a socket, a device, or, without `follow`, a link.
        OSError: it is not there, is a folder, or cannot be opened.
        ValueError: no file can have that name.
    """
    try:
        _check(os.stat(path, follow_symlinks=follow), path)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    handle = os.open(path, flags | FLAGS | (0 if follow else os.O_NOFOLLOW), 0o666)
    try:
        _check(os.fstat(handle), path)
    except OSError:
        os.close(handle)
        raise
    return handle


def read_plain(path: Path, most: int, *, follow: bool = False) -> bytes:
    """What is in a plain file.

    Raises:
        TooLarge: it has more than `most` bytes.
        NotPlain, OSError, ValueError: as `open_plain`.
    """
    data = read_beginning(path, most + 1, follow=follow)
    if len(data) > most:
        raise TooLarge(errno.EFBIG, f"it has more than {most:,} bytes", os.fspath(path))
    return data


def read_beginning(path: Path, most: int, *, follow: bool = False) -> bytes:
    """The first `most` bytes of a plain file, or all that it has.

    Raises:
        NotPlain, OSError, ValueError: as `open_plain`.
    """
    with os.fdopen(open_plain(path, follow=follow), "rb") as stream:
        return stream.read(most)


def read_pipe(path: Path, most: int, patience: float) -> bytes:
    """What is written into a named pipe until its writers have closed it, `most` bytes of it.

    Raises:
        TimeoutError: for `patience` seconds nobody wrote.
        OSError: it is not there, or cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | FLAGS)
    try:
        found = b""
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        while len(found) < most:
            if not waiting.poll(patience * 1000):
                raise TimeoutError(errno.ETIMEDOUT, "nobody writes into the pipe", os.fspath(path))
            piece = os.read(handle, min(_PIECE, most - len(found)))
            if not piece:
                break
            found += piece
        return found
    finally:
        os.close(handle)


def _check(state: os.stat_result, path: Path) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if kind := kind_of(state):
        raise NotPlain(errno.EINVAL, f"it is {kind}, not a file", os.fspath(path))
