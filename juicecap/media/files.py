"""The door to local files: what must be true of a path before any decoder sees it, and of the file that was opened.

A decoder is handed the open file (`name_of`), not its path, so that it reads the very file that was looked at, whatever
happens to the path meanwhile; and nothing in a path can mean something to it, such as the `%d` of a numbered series.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from juicecap.errors import MediaError
from juicecap.media.rules import DEFAULT_RULES, MediaRules
from juicecap.naming import unnameable
from juicecap.plain import FLAGS, kind_of
from juicecap.sample import is_remote, shown_path

_NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR)
_NEVER = {
    errno.ELOOP: "is a symbolic link that leads in a circle",
    errno.ENAMETOOLONG: "is longer than a path can be",
}


def check_file(path: str, rules: MediaRules = DEFAULT_RULES) -> None:
    """Make sure that a path names a file that `open_file` takes.

    Raises:
        MediaError: as `open_file`.
    """
    with open_file(path, rules):
        pass


@contextmanager
def open_file(path: str, rules: MediaRules = DEFAULT_RULES) -> Iterator[int]:
    """The descriptor of a plain local file with something in it, open for reading as long as the context lasts.

    Raises:
        MediaError: `FILE_NOT_FOUND`, `NOT_A_FILE`, `NO_PERMISSION`, `UNREADABLE` (empty, or the disk fails), `TOO_LARGE`,
            `OUTSIDE_MEDIA_ROOT`, or `REMOTE_NOT_ALLOWED` (an address).
    """
    if is_remote(path):
        raise MediaError("REMOTE_NOT_ALLOWED", f"{shown_path(path)} is an address, and remote media are off (allow_remote)")
    _check_place(path, os.path.realpath(path) if rules.root and "\0" not in path else "", rules)
    try:
        _check_kind(path, os.stat(path), rules)
        fd = os.open(path, os.O_RDONLY | FLAGS)
    except (OSError, ValueError) as error:
        raise _refusal(path, error) from error
    try:
        _check_kind(path, os.fstat(fd), rules)
        _check_place(path, _opened_path(fd) if rules.root else "", rules)
        yield fd
    finally:
        os.close(fd)


def lies_inside(path: str, rules: MediaRules) -> bool:
    """Whether a path keeps to `root`, links followed."""
    return not rules.root or "\0" in path or _below(os.path.realpath(path), rules.root)


def name_of(fd: int) -> str:
    """A path under which this process can open the file of a descriptor."""
    return f"/dev/fd/{fd}"


def _check_kind(path: str, status: os.stat_result, rules: MediaRules) -> None:
    if kind := kind_of(status):
        raise MediaError("NOT_A_FILE", f"{shown_path(path)} is {kind}, not a file")
    if status.st_size == 0:
        raise MediaError("UNREADABLE", f"{shown_path(path)} is empty")
    if status.st_size > rules.max_bytes:
        sizes = f"{status.st_size} bytes, more than {rules.max_bytes}"
        raise MediaError("TOO_LARGE", f"{shown_path(path)} has {sizes} (media_max_mb)")


def _check_place(path: str, real: str, rules: MediaRules) -> None:
    if real and not _below(real, rules.root):
        raise MediaError("OUTSIDE_MEDIA_ROOT", f"{shown_path(path)} lies outside of media_root ({shown_path(rules.root)})")


def _below(real: str, root: str) -> bool:
    return f"{real}/".startswith(f"{root.rstrip('/')}/")


def _opened_path(fd: int) -> str:
    """Where an open file lies; empty where the system does not tell."""
    try:
        return os.fspath(Path(f"/proc/self/fd/{fd}").readlink())
    except OSError:
        return ""


def _refusal(path: str, error: OSError | ValueError) -> MediaError:
    name, number = shown_path(path), getattr(error, "errno", None)
    if isinstance(error, UnicodeEncodeError) and (why := unnameable(path)):  # in another locale it may be there
        return MediaError("UNREADABLE", f"{name} {why}", retryable=True)
    if isinstance(error, ValueError) or number in _NO_SUCH_FILE:  # a NUL in it
        return MediaError("FILE_NOT_FOUND", f"{name} does not exist")
    if number in _NEVER:
        return MediaError("FILE_NOT_FOUND", f"{name} {_NEVER[number]}")
    if number in (errno.EACCES, errno.EPERM):
        return MediaError("NO_PERMISSION", f"{name} may not be read by this user")
    return MediaError("UNREADABLE", f"{name} cannot be read ({error.strerror})", retryable=True)
