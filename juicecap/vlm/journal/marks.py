"""What tells a journal's file from any other, also when parts of it are damaged.

SQLite's header holds a number for the program and one for the version. The text of the first table says the version again, and
a row on a page of its own says whose file it is. So whatever one place is damaged, the others tell that the file is a journal,
and that it is one of this version.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

APPLICATION, VERSION = 0x4A434150, 1
"""How SQLite's header names the file: "JCAP", and the number of its schema."""

PAGE = 4096
"""Bytes of a page of the database."""

MARK = b"\0juicecap\0journal\0"
"""The name of a fact. No other sorts before it, and so its row stands at the very end of its page."""

TABLES = {
    "answers": f"""CREATE TABLE answers (-- juicecap's journal, version {VERSION}
    key BLOB, candidate INTEGER, entry TEXT, checksum INTEGER, PRIMARY KEY (key, candidate)) WITHOUT ROWID""",
    "digests": "CREATE TABLE digests (path BLOB PRIMARY KEY, entry TEXT, checksum INTEGER) WITHOUT ROWID",
    "facts": "CREATE TABLE facts (name BLOB PRIMARY KEY, entry TEXT, checksum INTEGER) WITHOUT ROWID",
}
"""The statement that makes each table. Entries are JSON; SQLite has no checksums, so each row has one."""

_STAMP = re.compile(rb"juicecap's journal, version (\d+)")
_SQLITE = b"SQLite format 3\0"
_FIRST_TABLE = b"tableanswersanswers\x02CREATE TABLE answers (-- juicecap's journal"
"""As it stands on the first page, with the number of the table's own page."""

_MOST = 2**26
"""Bytes of a file in which marks are looked for."""


def stamp(statement: bytes) -> int | None:
    """The version that a statement of the schema tells; None if it is not that of a journal."""
    found = _STAMP.search(statement)
    return int(found[1]) if found else None


def is_journal(path: Path) -> bool:
    """Whether a file's bytes show that it is a journal, whole or damaged. Nothing is written.

    Raises:
        OSError: it cannot be read.
    """
    real = Path(os.path.realpath(path))
    with real.open("rb") as file:
        page = file.read(PAGE)
        if (page.startswith(_SQLITE) and page[68:72] == APPLICATION.to_bytes(4, "big")) or _FIRST_TABLE in page:
            return True
        while page and file.tell() <= _MOST:
            if MARK in page[-64:]:
                return True
            page = file.read(PAGE)
    log = real.with_name(f"{real.name}-wal")
    if not log.is_file():
        return False
    with log.open("rb") as file:
        pages = file.read(_MOST)
    return MARK in pages or _FIRST_TABLE in pages
