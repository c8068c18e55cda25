"""One run at a time in a run folder.

The lock is the system's (`flock`), so it ends with the process however that ends, and what stands in the file is for people.
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

from juicecap.data.atomic import write_error
from juicecap.errors import EnvironmentFailure
from juicecap.notice import say_once

_TRIES, _PAUSE = 3, 0.05
"""Who asks whether a run is alive (`is_locked`) holds the lock for less than that."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder, which exists, for the block.

    Raises:
        EnvironmentFailure: another run holds it; the message says which.
        DataError: the folder cannot be written.
    """
    file = folder / ".lock"
    try:
        stream = file.open("a+b", buffering=0)  # what could not be written is not tried again when it is closed
    except OSError as error:
        raise write_error(file, error) from error
    with stream:
        _lock(stream, folder)
        try:
            stream.truncate(0)
            facts = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
            stream.write(json.dumps(facts).encode() + b"\n")
        except OSError as error:
            raise write_error(file, error) from error
        yield


def _lock(stream: FileIO, folder: Path) -> None:
    try:
        for _ in range(_TRIES):
            with suppress(BlockingIOError):
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(_PAUSE)
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        facts = json.loads(stream.read())
        return f" (process {facts['pid']} on {facts['host']}, since {facts['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # it has not written its facts yet


def is_locked(folder: Path) -> bool | None:
    """Whether a run holds the folder; None where that cannot be told. Nothing is written."""
    try:
        with (folder / ".lock").open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return False
