"""Writing a file so that it is there whole or not at all, even if the machine stops."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from juicecap.errors import DataError, EnvironmentFailure

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A stream into a temporary file that becomes `path` when the block ends well, and vanishes when it does not.

    The temporary file (`stream.name`) stands in the folder of `path`, which is made if missing. File and folder are flushed
    to disk. A link is written through. Whatever was at `path` stays until the last moment.

    Raises:
        DataError: the file cannot be written there.
        EnvironmentFailure: the disk is full.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise DataError(f"{path} cannot be written: it is a folder. Give the path of a file.")
    temporary = target.parent / f".juicecap-{secrets.token_hex(8)}.tmp"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise _translated(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot sync a folder; the file itself is on disk by now.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def _translated(path: Path, error: OSError) -> DataError | EnvironmentFailure:
    if error.errno in NO_SPACE:
        return EnvironmentFailure(f"{path} cannot be written: no space left. Free some space and run again.")
    reason = error.strerror or str(error)
    return DataError(f"{path} cannot be written: {reason}. Choose another path or change its permissions.")
