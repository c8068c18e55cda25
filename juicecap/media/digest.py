"""A digest of a medium's content: the same clip under another name is the same clip, a replaced clip is another one."""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple

from juicecap.errors import MediaError
from juicecap.media.access.files import open_file
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.sample import display_path

WHOLE_UP_TO = 64 * 2**20
"""Files up to this many bytes are hashed whole; larger ones by size, modification time and sampled blocks."""

_BLOCK, _BLOCKS = 2**20, 32

TICK = 2_000_000_000
"""Nanoseconds within which two changes may leave the same time: that of the coarsest file system."""


class FileState(NamedTuple):
    """Number, size and times of a file (nanoseconds): equal as long as nobody touches it."""

    inode: int
    size: int
    modified: int
    changed: int
    """When anything about the file changed, which nobody can set back."""

    def holds(self, other: FileState | None) -> bool:
        """Whether the content is still that of `other`, as far as one can see."""
        return self == other

    def tells(self, seen: int) -> bool:
        """Whether an equal state proves equal content, if the content was read at `seen` or later.

        A file that was touched just before may be touched once more without another time to show for it.
        """
        return max(self.modified, self.changed) + TICK < seen


def file_state(path: str) -> FileState | None:
    """The state of a file; None if there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileState(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def content_digest(path: str, rules: MediaLimits = DEFAULT_RULES) -> str:
    """32 hexadecimal digits of BLAKE2b over the content (see `WHOLE_UP_TO`).

    Raises:
        MediaError: as `open_file`; `MEDIA_CHANGED`: it grows while it is read.
        EnvironmentFailure: as `open_file`.
    """
    state = hashlib.blake2b(digest_size=16)
    try:
        with open_file(path, rules) as fd, open(fd, "rb", closefd=False) as file:
            status = os.fstat(file.fileno())
            if status.st_size <= WHOLE_UP_TO:
                left = status.st_size
                while block := file.read(min(_BLOCK, left + 1)):
                    left -= len(block)
                    if left < 0:  # one that grows for ever would be read for ever
                        raise MediaError("MEDIA_CHANGED", f"{display_path(path)} was changed while it was read", retryable=True)
                    state.update(block)
                return state.hexdigest()
            state.update(f"{status.st_size} {status.st_mtime_ns}".encode())
            for index in range(_BLOCKS):
                file.seek((status.st_size - _BLOCK) * index // (_BLOCKS - 1))
                state.update(file.read(_BLOCK))
    except OSError as error:
        raise MediaError("UNREADABLE", f"{display_path(path)} cannot be read ({error.strerror})", retryable=True) from error
    return state.hexdigest()
