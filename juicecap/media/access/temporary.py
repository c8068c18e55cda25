"""A folder for temporary files of this process. What a killed process left behind is removed by the next that needs one."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

_PREFIX = "juicecap-media-"

_LOCK = "lock"


class Folder:
    """A new folder, locked as long as the process lives and removed at its end."""

    def __init__(self) -> None:
        _sweep()
        self._pid = os.getpid()
        self._make()
        while not os.path.exists(self.path):  # swept away by another process before it was locked
            os.close(self._lock)
            self._make()
        atexit.register(self.remove)

    def _make(self) -> None:
        self.path = tempfile.mkdtemp(prefix=_PREFIX)
        self._lock = os.open(os.path.join(self.path, _LOCK), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def new_file(self) -> tuple[int, str]:
        """A descriptor, open for writing, and the path of a new file."""
        return tempfile.mkstemp(dir=self.path)

    def remove(self) -> None:
        """Remove it with all that is in it; a forked child leaves it to its parent."""
        if os.getpid() == self._pid:
            shutil.rmtree(self.path, ignore_errors=True)


def folder_of_this_process() -> Folder:
    """The folder, made at first need."""
    return _folder(os.getpid())


@cache
def _folder(pid: int) -> Folder:
    del pid  # a forked child has one of its own
    return Folder()


def _sweep() -> None:
    """Remove the folders of this user whose processes are gone: nobody holds their lock."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if left.is_symlink() or left.lstat().st_uid != os.geteuid():
                continue
            with (left / _LOCK).open("rb+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
