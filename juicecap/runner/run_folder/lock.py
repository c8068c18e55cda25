"""One run at a time in a run folder; shards of a run share it.

The lock is the system's (`flock`), so it ends with the process, however that ends. The content of the file is for people.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from juicecap.data.writing.atomic import write_error
from juicecap.errors import DataError, EnvironmentFailure
from juicecap.notice import say_once
from juicecap.plain import open_plain
from juicecap.printable import one_line

FILE, HEAD = ".lock", b'{"pid": '
"""The file, and what it begins with once a run held it."""

LONGEST = 80
"""Characters of a fact about the holder that are shown."""

_LARGEST = 4096
"""Bytes of the file that are read."""

_TRIES, _PAUSE = 3, 0.05
"""Tries to get the lock, and seconds between them: `is_locked` holds it for a shorter time."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


@contextmanager
def locked(folder: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the folder, which exists, for the block; alone, or (`shared`) with others that share it.

    Raises:
        EnvironmentFailure: another run holds it; the message says which.
        DataError: the folder cannot be written, or the lock's file is one of somebody else.
    """
    file = folder / FILE
    try:  # without a buffer: what could not be written is not tried again when it is closed
        stream = os.fdopen(open_plain(file, os.O_RDWR | os.O_CREAT), "r+b", buffering=0)
    except OSError as error:
        raise write_error(file, error) from error
    with stream:
        _lock(stream, folder, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        try:
            if not HEAD.startswith(stream.read(len(HEAD))):
                raise DataError(f"{file} is not what a run writes, so it is left as it is; set work_dir to another folder")
            stream.seek(0)
            stream.truncate(0)
            facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
            stream.write(json.dumps(facts).encode() + b"\n")
        except OSError as error:
            raise write_error(file, error) from error
        yield


def _lock(stream: FileIO, folder: Path, kind: int) -> None:
    try:
        for _ in range(_TRIES):
            with suppress(BlockingIOError):
                fcntl.flock(stream, kind | fcntl.LOCK_NB)
                return
            time.sleep(_PAUSE)
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise EnvironmentFailure(
            f"{folder} is in use by another run{_holder(stream)}. Wait for it to end, or set work_dir to another folder."
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise write_error(folder, error) from error
        say_once(f"the file system of {folder} has no locks: take care that no two runs use it at once")


def _holder(stream: FileIO) -> str:
    try:
        stream.seek(0)
        facts = json.loads(stream.read(_LARGEST))
        pid, host, since = (one_line(str(facts[name]), LONGEST) for name in ("pid", "host", "since"))
        return f" (process {pid} on {host}, since {since})"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""  # it has not written its facts yet


def is_locked(folder: Path) -> bool | None:
    """Whether a run holds the folder; None if that is not known. Nothing is written."""
    try:
        with os.fdopen(open_plain(folder / FILE), "rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return False
