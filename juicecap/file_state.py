"""Whether a file was touched: number, size and times, which are the same as long as nobody did.

This is what digests of media, tables made of files, and steps go by. Three others ask something else, and keep something else on
disk: an export is renamed after its state is noted, which changes the last time (`recipe/exports_file.py`); a model's files
may be copied with their times, which changes their numbers (`vlm/models/names.py`); and of a journal, which is written all the
time, it matters only whether its name still leads to the same file (`vlm/journal/quarantine.py`).
"""

from __future__ import annotations

import os
from typing import NamedTuple, Self

TICK = 2_000_000_000
"""Nanoseconds within which two changes may leave the same time: that of the coarsest file system."""


class FileState(NamedTuple):
    """Number, size and times of a file (nanoseconds): equal as long as nobody touches it."""

    inode: int
    size: int
    modified: int
    changed: int
    """When anything about the file changed, which nobody can set back."""

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The state that the system tells."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def tells(self, seen: int) -> bool:
        """Whether an equal state means an equal content, if the content was read at `seen` or later.

        A file that was touched just before may be touched once more without another time to show for it.
        """
        return max(self.modified, self.changed) + TICK < seen


def file_state(path: str) -> FileState | None:
    """The state of a file; None if there is none."""
    try:
        return FileState.of(os.stat(path))
    except (OSError, ValueError):
        return None
