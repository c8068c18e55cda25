"""The door to local files: what must be true of a path before any decoder sees it, and of the file that was opened.

A decoder is handed the open file, not its path, so that it reads the very file that was checked, whatever happens to the
path meanwhile; and nothing in a path can mean something to it, such as the `%d` of a numbered series. No `/proc` is needed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from juicecap.errors import EnvironmentFailure, MediaError
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.naming import is_utf8_here, missing, unnameable
from juicecap.plain import FLAGS, kind_of
from juicecap.sample import display_path, is_remote

_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)

LONGEST_PATH = 4096
"""Bytes that no path reaches. The system refuses longer ones; following their links before that could take for ever."""

_NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR)
_TOO_LONG = "is longer than a path can be"
_NEVER = {errno.ELOOP: "is a symbolic link that leads in a circle", errno.ENAMETOOLONG: _TOO_LONG}
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What the system has run out of, for whatever file."""

_LED_ELSEWHERE = (errno.ELOOP, errno.ENOENT, errno.ENOTDIR)


def check_file(path: str, rules: MediaLimits = DEFAULT_RULES) -> None:
    """Make sure that a path names a file that `open_file` takes.

    Raises:
        MediaError: as `open_file`.
    """
    with open_file(path, rules):
        pass


@contextmanager
def open_file(path: str, rules: MediaLimits = DEFAULT_RULES) -> Iterator[int]:
    """The descriptor of a plain local file with something in it, open for reading as long as the context lasts.

    Raises:
        MediaError: `FILE_NOT_FOUND`, `NOT_A_FILE`, `NO_PERMISSION`, `UNREADABLE` (empty, or the disk fails), `TOO_LARGE`,
            `OUTSIDE_MEDIA_ROOT`, or `REMOTE_NOT_ALLOWED` (an address).
        EnvironmentFailure: no more files can be opened.
    """
    if is_remote(path):
        raise MediaError("REMOTE_NOT_ALLOWED", f"{display_path(path)} is an address, and remote media are off (allow_remote)")
    if not is_utf8_here() and (why := unnameable(path)):  # in another locale it may be there
        raise MediaError("UNREADABLE", f"{display_path(path)} {why}", retryable=True)
    if why := _unfit(path):
        raise MediaError("FILE_NOT_FOUND", f"{display_path(path)} {why}")
    if not lies_inside(path, rules):
        raise outside(path, rules)
    try:
        _check_kind(path, os.stat(path), rules)
        fd = os.open(path, os.O_RDONLY | FLAGS)
    except OSError as error:
        raise refusal(path, error) from error
    try:
        _check_kind(path, os.fstat(fd), rules)
        if rules.root and not _is_inside(fd, path, rules.root):
            raise outside(path, rules)
        yield fd
    finally:
        os.close(fd)


def lies_inside(path: str, rules: MediaLimits) -> bool:
    """Whether a path keeps to `root`, links followed; also if it cannot be a path at all."""
    return not rules.root or bool(_unfit(path)) or _below(os.path.realpath(path), rules.root)


def _unfit(path: str) -> str:
    """Why the system knows no file by this name, whatever there is; empty if it may."""
    if why := unnameable(path):
        return why.rstrip(".")
    return _TOO_LONG if len(path) >= LONGEST_PATH or len(os.fsencode(path)) >= LONGEST_PATH else ""


def _check_kind(path: str, status: os.stat_result, rules: MediaLimits) -> None:
    if kind := kind_of(status):
        raise MediaError("NOT_A_FILE", f"{display_path(path)} is {kind}, not a file")
    if status.st_size == 0:
        raise MediaError("UNREADABLE", f"{display_path(path)} is empty")
    if status.st_size > rules.max_bytes:
        sizes = f"{status.st_size} bytes, more than {rules.max_bytes}"
        raise MediaError("TOO_LARGE", f"{display_path(path)} has {sizes} (media_max_mb)")


def outside(path: str, rules: MediaLimits) -> MediaError:
    """The error of a path that leads out of `root`."""
    return MediaError("OUTSIDE_MEDIA_ROOT", f"{display_path(path)} lies outside of media_root ({display_path(rules.root)})")


def _below(real: str, root: str) -> bool:
    return f"{real}/".startswith(f"{root.rstrip('/')}/")


def _is_inside(fd: int, path: str, root: str) -> bool:
    """Whether the open file is one that lies below `root`: it is gone to from there, and no link is followed on the way.

    So a link that was turned after the first look leads nowhere.

    Raises:
        MediaError: that cannot be seen.
    """
    real = os.path.realpath(path)
    if not _below(real, root):
        return False
    try:
        descriptor = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
        try:
            *folders, name = real.removeprefix(root.rstrip("/")).strip("/").split("/")
            for each in folders:
                inner = os.open(each, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            return os.path.samestat(os.stat(name, dir_fd=descriptor, follow_symlinks=False), os.fstat(fd))
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in _LED_ELSEWHERE:
            return False
        raise refusal(path, error) from error


def refusal(path: str, error: OSError) -> MediaError | EnvironmentFailure:
    """What the system's error about a path means."""
    name, number = display_path(path), error.errno
    if number in _NO_ROOM:
        return EnvironmentFailure(f"{name} cannot be opened now ({error.strerror}); running again resumes")
    if number in _NO_SUCH_FILE:
        return MediaError("FILE_NOT_FOUND", f"{name} {missing(path)}")
    if number in _NEVER:
        return MediaError("FILE_NOT_FOUND", f"{name} {_NEVER[number]}")
    if number in (errno.EACCES, errno.EPERM):
        return MediaError("NO_PERMISSION", f"{name} may not be read by this user")
    return MediaError("UNREADABLE", f"{name} cannot be read ({error.strerror})", retryable=True)
