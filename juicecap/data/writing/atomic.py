"""Writing a file, or a folder of files, so that it appears whole or not at all, even if the machine stops.

Whatever is written has a temporary name, `.juicecap-OWNER…`, beside its final one until it is whole and on disk. What a killed
process left under such a name is taken away by `remove_leftovers`; nobody else's files are.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from juicecap.errors import DataError, EnvironmentFailure
from juicecap.plain import kind_at

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
DISK_FAILS = (errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Besides `NO_SPACE`, errors that say nothing about the path: another one would not help."""

_AT_WORKING_DIRECTORY, _EXCHANGE = -100, 2  # of Linux's renameat2


@contextmanager
def replacing(
    path: Path, owner: str = "", ready: Callable[[Path], None] | None = None, *, through_links: bool = True
) -> Iterator[BinaryIO]:
    """A stream into a temporary file that becomes `path` when the block ends well, and vanishes when it does not.

    The temporary file (`stream.name`) is new and stands in the folder of `path`, which is made if missing. File and folder are
    flushed to disk. A link is written through, and a device or a pipe is left as it is; without `through_links`, for paths in
    folders of ours, it is itself replaced. Whatever file was at `path` stays until the last moment. `owner` names the writer for
    `remove_leftovers`. `ready` is called with the temporary file when that is whole and on disk, right before it is renamed.

    Raises:
        DataError: the file cannot be written there, or something stands there that is no file, such as a device.
        EnvironmentFailure: the disk is full or fails.
    """
    try:
        target = _target(path, through_links=through_links)
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    temporary = _temporary(target, owner)
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if ready:
            ready(temporary)
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def swap_in(path: Path, content: bytes, owner: str = "") -> None:
    """Replace a file that tells of the moment: it is there whole or not at all, but not flushed to disk. No link is followed.

    Its temporary file always has the same name, so that one that a killed process left is taken away by the next; it is made
    anew each time, so that nothing that has its name is written into. Whoever calls this is the only one to write `path`.

    Raises:
        DataError: the file cannot be written there.
        EnvironmentFailure: the disk is full or fails.
    """
    try:
        target = _target(path, through_links=False)
        temporary = target.parent / f".juicecap-{owner}-{target.name}.tmp"
        temporary.unlink(missing_ok=True)
        try:
            with temporary.open("xb") as stream:
                stream.write(content)
            temporary.replace(target)
        finally:  # a disk that is full leaves a part of it
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


@contextmanager
def replacing_folder(path: Path, owner: str = "", ready: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, in one step, and vanishes when it does not.

    Files in it must be flushed to disk by who writes them. What was at `path`, with all that is in it, stays until the last
    moment and is then removed. `ready` as for `replacing`.

    Raises:
        DataError: the folder cannot be written there.
        EnvironmentFailure: the disk is full or fails.
    """
    target = Path(os.path.realpath(path))
    temporary = _temporary(target, owner)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        sync_folder(temporary)
        if ready:
            ready(temporary)
        if target.exists():
            _exchange(temporary, target)
        else:
            temporary.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # after an exchange it holds what was at `path`


def remove_leftovers(path: Path, owner: str) -> None:
    """Remove what killed processes of this owner left beside `path`, and finish an exchange that one of them began.

    Only for an owner of which no process is running.
    """
    target = Path(os.path.realpath(path))
    aside = _aside(target)
    with suppress(OSError):
        if aside.exists() and not target.exists():
            aside.rename(target)
    remove(aside)
    remove_temporaries(target.parent, owner)


def remove_temporaries(folder: Path, owner: str) -> None:
    """Remove the temporary files that killed processes of this owner left in a folder. Only as `remove_leftovers`."""
    for left in folder.glob(f".juicecap-{owner}-*.tmp"):
        remove(left)


def remove(path: Path) -> None:
    """Take away a file or a folder if it is there and can be taken away."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot sync a folder; the file itself is on disk by now.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def write_error(path: Path, error: OSError) -> DataError | EnvironmentFailure:
    """The error for a file or folder that the system does not let us write."""
    if error.errno in NO_SPACE:
        return EnvironmentFailure(f"{path} cannot be written: no space left. Free some space and run again.")
    reason = error.strerror or str(error)
    if error.errno in DISK_FAILS:
        return EnvironmentFailure(f"{path} cannot be written: {reason}. Run again once that is mended.")
    return DataError(f"{path} cannot be written: {reason}. Choose another path or change its permissions.")


def _target(path: Path, *, through_links: bool) -> Path:
    """Where what is written to `path` goes.

    Raises:
        DataError: something stands there that is no file.
    """
    target = Path(os.path.realpath(path)) if through_links else Path(os.path.realpath(path.parent)) / path.name
    if (kind := kind_at(target)) and (through_links or kind == "a folder"):
        raise DataError(f"{path} cannot be written: it is {kind}. Give the path of a file.")
    return target


def _temporary(target: Path, owner: str) -> Path:
    return target.parent / f".juicecap-{owner}-{secrets.token_hex(8)}.tmp"


def _aside(target: Path) -> Path:
    """Where what was at `target` waits while two folders change places in two steps."""
    return target.parent / f".{target.name}.juicecap-aside"


def _exchange(new: Path, old: Path) -> None:
    """Let two folders change places: in one step on Linux, elsewhere (and on NFS) in two that `remove_leftovers` can finish."""
    if sys.platform == "linux":
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        if not rename(_AT_WORKING_DIRECTORY, os.fsencode(new), _AT_WORKING_DIRECTORY, os.fsencode(old), _EXCHANGE):
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(code, os.strerror(code), str(old))
    aside = _aside(old)
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    remove(aside)
