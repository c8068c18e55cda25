"""Setting a damaged journal aside while other runs use it, or find the same damage at the same moment.

SQLite opens a database and the files that belong to it by name, one after the other, so they must not be renamed in between. A
process that opens, reads or writes a journal holds a shared lock on its folder (`folder_lock`) while it does so. A process that
renames it holds an exclusive lock, and first checks that the file is still the one that was damaged. The others notice by the
inode number that their file is gone, and open the new one before they write. The lock is the system's (`flock` of the folder).
Without one (on a file system that has none, or where only one run at a time can use the file) nothing is locked.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from juicecap.errors import EnvironmentFailure
from juicecap.notice import say_once


class FileId(NamedTuple):
    """The identity of a file, which a later file of the same name does not have."""

    device: int
    inode: int


class Damaged(Exception):
    """The file is damaged, or no longer the one that was opened. `file` identifies that one."""

    def __init__(self, reason: str, file: FileId | None) -> None:
        words = "".join(letter if letter.isprintable() else " " for letter in reason).split()
        super().__init__(" ".join(words)[:200])
        self.file = file


def file_id(path: Path) -> FileId | None:
    """The identity of the file that has this name now; None if there is none."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return FileId(state.st_dev, state.st_ino)


@contextmanager
def folder_lock(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """Lock a folder for the block, shared or (`alone`) exclusively; wait for the lock as long as it takes."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # a folder that may not be listed
        yield
        return
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def set_aside(path: Path, damage: Damaged) -> None:
    """Rename a damaged journal, with the files that belong to it, and log that; do nothing if another run has done it.

    Raises:
        EnvironmentFailure: it cannot be renamed.
    """
    real = Path(os.path.realpath(path))
    new = real.with_name(f"{real.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
    with folder_lock(real.parent, alone=True):
        if damage.file is None or file_id(real) != damage.file:
            return
        try:
            for suffix in ("", "-wal", "-shm", "-journal"):
                part = real.with_name(real.name + suffix)
                if part.exists():
                    part.rename(new.with_name(new.name + suffix))
        except OSError as error:
            raise EnvironmentFailure(f"{path} is damaged ({damage}) and cannot be renamed ({error.strerror})") from error
    shown = new if path.is_symlink() else new.name
    say_once(f"the journal {path} is damaged ({damage}); it is set aside as {shown}, and what it held is asked again")
