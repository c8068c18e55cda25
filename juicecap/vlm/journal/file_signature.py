"""How a journal's file is recognised, also when parts of it are damaged.

SQLite's header holds a number for the program and one for the version. The SQL text of the first table holds the version again,
and a row on a page of its own names the program. So if any one place is damaged, the others show that the file is a journal of
this version.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path

from juicecap.errors import DataError
from juicecap.plain import kind_of, open_plain, read_beginning

APPLICATION, VERSION = 0x4A434150, 1
"""How SQLite's header names the file: "JCAP", and the number of its schema."""

NAME = "journal.sqlite"
"""The name of a journal in a folder that is not named for it, such as a run folder."""

PAGE = 4096
"""Bytes of a page of the database."""

MARK = b"\0juicecap\0journal\0"
"""The name of a fact. No other name sorts before it, so its row is at the very end of its page."""

KEYS, KEYS_VERSION = b"\0juicecap\0keys\0", 2
"""The name of the fact that its keys hold on any machine. A journal without it was begun by a version whose keys did not."""

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
"""The first table's entry on the first page, with the number of the table's own page."""

_BEGINNINGS = {
    "-wal": (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"),
    "-shm": ((3_007_000).to_bytes(4, sys.byteorder),),
    "-journal": (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", bytes(8)),
}
"""First bytes of the files that belong to a database, by the ends of their names:
https://sqlite.org/fileformat2.html and
walformat.html"""

_MOST = 2**26
"""Bytes of a file in which the signatures are searched."""


def stamp(statement: bytes) -> int | None:
    """The version in a statement of the schema; None if the statement is not that of a journal."""
    found = _STAMP.search(statement)
    return int(found[1]) if found else None


def check_place(path: Path) -> None:
    """Make sure that opening a journal here neither writes into foreign files nor blocks.

    SQLite opens any file with the name of a journal's part.

    Raises:
        DataError: something stands there that is no plain file, a link leads to what is no journal, or a part is another's file.
    """
    real = Path(os.path.realpath(path))
    advice = "remove it, or give another path as journal"
    for part in (real, *(real.with_name(real.name + suffix) for suffix in _BEGINNINGS)):
        try:
            state = os.lstat(part)
        except OSError:
            continue  # it does not exist, or opening the journal will report what is wrong
        kind = kind_of(state)
        if kind and (part != real or not stat.S_ISDIR(state.st_mode)):  # opening it reports that a folder is no journal
            raise DataError(f"{part} is {kind}, not a file; {advice}")
        if part != real and state.st_nlink > 1 and not _begins(part, _BEGINNINGS[part.name.removeprefix(real.name)]):
            raise DataError(f"{part} is another name of a file that is no part of a journal; {advice}")
    if path.is_symlink() and real.is_file() and real.stat().st_size and not is_journal(real):
        raise DataError(f"{path} is a link to {real}, which is no journal; {advice}")


def _begins(part: Path, beginnings: tuple[bytes, ...]) -> bool:
    begun = read_beginning(part, len(max(beginnings, key=len)))
    return not begun or begun.startswith(beginnings)


def is_journal(path: Path) -> bool:
    """Whether a file's bytes show that it is a journal, whole or damaged. Nothing is written.

    Raises:
        OSError: it cannot be read.
    """
    real = Path(os.path.realpath(path))
    with os.fdopen(open_plain(real), "rb") as file:
        page = file.read(PAGE)
        if (page.startswith(_SQLITE) and page[68:72] == APPLICATION.to_bytes(4, "big")) or _FIRST_TABLE in page:
            return True
        while page and file.tell() <= _MOST:
            if MARK in page[-64:]:
                return True
            page = file.read(PAGE)
    try:
        pages = read_beginning(real.with_name(f"{real.name}-wal"), _MOST)
    except OSError:
        return False
    return MARK in pages or _FIRST_TABLE in pages
