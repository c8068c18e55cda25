"""What must be true of a path before any decoder sees it."""

from __future__ import annotations

import os

from juicecap.errors import MediaError


def check_file(path: str) -> None:
    """Make sure that a path names a readable file with something in it.

    Raises:
        MediaError: `FILE_NOT_FOUND`, `NOT_A_FILE`, `NO_PERMISSION` or `UNREADABLE` (empty).
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise MediaError("FILE_NOT_FOUND", f"{path} does not exist") from error
    if not os.path.isfile(path):
        raise MediaError("NOT_A_FILE", f"{path} is not a file")
    if not os.access(path, os.R_OK):
        raise MediaError("NO_PERMISSION", f"{path} may not be read by this user")
    if status.st_size == 0:
        raise MediaError("UNREADABLE", f"{path} is empty")
