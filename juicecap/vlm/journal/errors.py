"""Errors of the database, translated: damage, a full disk, another run, or another problem of the location."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

from juicecap.data.writing.atomic import NO_SPACE
from juicecap.errors import EnvironmentFailure

FAULTS = (OSError, sqlite3.Error, UnicodeDecodeError)
"""The exceptions that using a database may raise. (Python's module decodes names and messages, which may be damaged.)"""

_OF_THE_PLACE = {
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
"""Codes that mean no damage. With any other code the file does not hold what was written."""

_ROOM = 2**20
"""Bytes without which a disk counts as full; opening a journal takes less."""


def is_damage(error: Exception, file: Path) -> bool:
    """Whether an error comes from the content of the file, not from its location."""
    if isinstance(error, UnicodeDecodeError):
        return True
    extended, code = getattr(error, "sqlite_errorcode", None), primary(error)
    if extended == sqlite3.SQLITE_READONLY:  # it may be the file itself that says so, in its header
        return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
    return code is not None and code not in _OF_THE_PLACE


def failure(path: Path, what: str, error: Exception, *, alone: bool) -> EnvironmentFailure:
    """The failure for an error other than damage. `what` could not be done; `alone`: only one run at a time can use the file."""
    code = primary(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        hint = "; on a network file system only one run at a time can: give each a journal of its own" if alone else ""
        return EnvironmentFailure(f"{path} cannot {what}: another run holds it{hint}")
    full = code == sqlite3.SQLITE_FULL or (isinstance(error, OSError) and error.errno in NO_SPACE)
    if full or (code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _is_full(path.parent)):
        return EnvironmentFailure(f"{path} cannot {what}: no space left; free some space and run again, which resumes")
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return EnvironmentFailure(f"{path} cannot {what} ({reason}); running again resumes")


def primary(error: Exception) -> int | None:
    """SQLite's primary result code; None if the error is not SQLite's."""
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF


def _is_full(folder: Path) -> bool:
    """Whether there is no room, or no quota, for one more small file."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(_ROOM))
            os.fsync(file.fileno())
            return os.fstat(file.fileno()).st_size < _ROOM  # what is written stops short where the disk is full
    except OSError as error:
        return error.errno in NO_SPACE
