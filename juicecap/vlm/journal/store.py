"""The journal's file: an SQLite database with answers, digests of media, and facts about servers.

It is written in short transactions, each of them on disk when it ends (WAL, synchronous FULL), so that a killed process leaves
whole transactions. Several runs may use one file at once; on a network file system, where that cannot work, the first one locks
it. A row that does not match its checksum is ignored. A damaged journal is set aside (`quarantine.py`); a file that is not a
journal never is.

Not covered: a disk that says it has written and has not; rescuing the content of a file that is set aside.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from juicecap.errors import DataError, EnvironmentFailure
from juicecap.notice import say_once
from juicecap.vlm.journal.errors import FAULTS, failure, is_damage, primary
from juicecap.vlm.journal.file_signature import APPLICATION, KEYS, KEYS_VERSION, MARK, TABLES, VERSION, check_place, stamp
from juicecap.vlm.journal.filesystem import on_network
from juicecap.vlm.journal.quarantine import Damaged, file_id, folder_lock, set_aside

PATIENCE = 60.0
"""Seconds to wait for another run that is writing."""

_AT_ONCE = 500
"""Keys in one query."""

_INSERT = {
    "answers": "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
    "digests": "INSERT OR REPLACE INTO digests VALUES (?, ?, ?)",
    "facts": "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)",
}


class Entry(NamedTuple):
    """One candidate's answer, or why there is none."""

    key: str
    candidate: int
    content: dict[str, Any]


class FileDigest(NamedTuple):
    """The state of a medium's file when it was digested. Times are in nanoseconds."""

    path: bytes
    inode: int
    size: int
    modified: int
    changed: int
    seen: int
    digest: str
    reading: str = ""
    """How the file is read (`media.read_otherwise.reading_of`); empty in records of before."""
    legacy: str = ""
    """In a journal with legacy keys: the digest as versions before made it; empty in records of them."""


_NUMBERS = 5
"""Numbers of such a record, which come before its texts."""


@dataclass(frozen=True)
class Fact:
    """A fact that was found out, such as how a server takes videos, by name."""

    name: str
    fact: str


@dataclass(frozen=True)
class ClearFailure:
    """A medium, by its key, that can be used after all: its failure is deleted."""

    key: str


Record = Entry | FileDigest | Fact | ClearFailure


class Store:
    """The open file. One thread uses it."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            Damaged: the file is damaged.
            DataError: it is a database of something else, or no file.
            EnvironmentFailure: it cannot be opened.
        """
        self.path = path
        self.has_legacy_keys = False
        """See `Journal.has_legacy_keys`."""
        self._real = Path(os.path.realpath(path))
        self._alone = on_network(path)
        self._file = None
        try:
            check_place(path)
            self._real.parent.mkdir(parents=True, exist_ok=True)
            with folder_lock(self._real.parent):
                self._database = sqlite3.connect(self._real, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
                self._database.text_factory = bytes  # whatever is in the file, reading it is no error
                self._file = file_id(self._real)
                try:
                    self._prepare()
                except BaseException:
                    self._database.close()
                    raise
        except FAULTS as error:
            raise self._translated("be opened", error) from error

    def answers(self, keys: Sequence[str]) -> dict[str, dict[int, Any]]:
        """The entries of each of these keys, by candidate."""
        query = "SELECT key, candidate, entry, checksum FROM answers WHERE key IN"
        found: dict[str, dict[int, Any]] = {}
        for key, candidate, content in self._select(query, [bytes.fromhex(key) for key in keys]):
            found.setdefault(key.hex(), {})[candidate] = content
        return found

    def file_digests(self, paths: Sequence[bytes]) -> dict[bytes, FileDigest]:
        """The digests that are known of these files."""
        query = "SELECT path, 0, entry, checksum FROM digests WHERE path IN"
        return {path: FileDigest(path, *content) for path, _, content in self._select(query, paths) if _is_seen(content)}

    def fact(self, name: str) -> str | None:
        """A fact, if it is known."""
        query = "SELECT name, 0, entry, checksum FROM facts WHERE name IN"
        return next((fact for _, _, fact in self._select(query, [bytes.fromhex(name)]) if isinstance(fact, str)), None)

    def empty(self) -> bool:
        """Whether there are no answers."""
        with self._used("be read"):
            return self._database.execute("SELECT 1 FROM answers LIMIT 1").fetchone() is None

    def in_order(self) -> Iterator[Entry]:
        """All entries, by key and candidate."""
        query = "SELECT key, candidate, entry, checksum FROM answers {} ORDER BY key, candidate LIMIT ?"
        rows = self._rows(query.format(""), _AT_ONCE)
        while rows:
            for key, candidate, text, checksum in rows:
                yield from (Entry(key.hex(), candidate, each) for each in _content(key, candidate, text, checksum))
            rows = self._rows(query.format("WHERE (key, candidate) > (?, ?)"), rows[-1][0], rows[-1][1], _AT_ONCE)

    def facts_and_digests(self) -> Iterator[Record]:
        """All else that is known: of media's files, and of servers."""
        for name, text, checksum in self._rows("SELECT name, entry, checksum FROM facts"):
            if name != MARK:
                yield from (Fact(name.hex(), each) for each in _content(name, 0, text, checksum) if isinstance(each, str))
        for path, text, checksum in self._rows("SELECT path, entry, checksum FROM digests"):
            yield from (FileDigest(path, *each) for each in _content(path, 0, text, checksum) if _is_seen(each))

    def write(self, records: Iterable[Record]) -> None:
        """Write records in one transaction; when it returns they are on disk.

        Raises:
            Damaged: the file is not whole, or another run has set it aside.
            EnvironmentFailure: they cannot be written.
        """
        with self._used("be written"), self._transaction():
            for record in records:
                self._insert(record)

    def close(self) -> None:
        """Let go of the file."""
        with folder_lock(self._real.parent):  # SQLite removes the files beside it by name
            self._database.close()

    def _prepare(self) -> None:
        if self._alone:
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
        if not self._tables():
            with self._transaction():
                self._create()
        self._identify()
        self._patiently("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        if fault := self._fault():
            raise Damaged(fault, self._file)

    def _create(self) -> None:
        """Make the tables, in a database that has none: another run may have been faster, or it may belong to another program."""
        if self._tables() or self._pragma("application_id"):
            return
        for statement in TABLES.values():
            self._database.execute(statement)
        self._database.execute(f"PRAGMA application_id={APPLICATION}")
        self._database.execute(f"PRAGMA user_version={VERSION}")
        self._put("facts", MARK, 0, VERSION)
        self._put("facts", KEYS, 0, KEYS_VERSION)

    def _identify(self) -> None:
        """Check, without writing, that the file is a journal, and which: it may be damaged, or belong to another program."""
        tables, application, version = self._tables(), self._pragma("application_id"), self._pragma("user_version")
        ours = {name.encode(): statement.encode() for name, statement in TABLES.items()}
        if ours.items() <= tables.items() and (application, version) == (APPLICATION, VERSION):
            self._refuse_code()
            self.has_legacy_keys = not self._database.execute("SELECT 1 FROM facts WHERE name = ?", (KEYS,)).fetchone()
            return
        statements = [statement for statement in tables.values() if isinstance(statement, bytes)]
        versions = [number for each in statements if (number := stamp(each)) is not None]
        if application == APPLICATION and versions == [version] != [VERSION]:
            raise DataError(f"{self.path} is the journal of another version of juicecap: give another path as journal")
        if application == APPLICATION or versions or set(statements) & set(ours.values()):
            raise Damaged("its header or its schema is not that of a journal", self._file)
        if fault := self._fault():
            raise Damaged(fault, self._file)
        raise DataError(f"{self.path} is a database of something else: give another path as journal")

    def _refuse_code(self) -> None:
        """Refuse a file with triggers or indexes on our tables, which run at each write. Foreign tables and views do no harm."""
        query = "SELECT type FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql IS NOT NULL AND tbl_name IN (?, ?, ?)"
        for (kind,) in self._database.execute(query, [*TABLES]):
            what = kind.decode(errors="replace")
            raise DataError(
                f"{self.path} has a {what} of somebody else's on its tables: drop it, or give another path as journal"
            )

    def _tables(self) -> dict[Any, Any]:
        """The statement that made each table; values in a damaged file may be of any type."""
        return dict(self._database.execute("SELECT name, sql FROM sqlite_master"))

    def _fault(self) -> str:
        """What is wrong with the structure of the file; empty if nothing is. Damage of a row shows when it is read."""
        verdicts = (bytes(row[0]) for row in self._database.execute("PRAGMA quick_check"))
        faults = (each.decode(errors="replace") for each in verdicts if each != b"ok" and b" value in " not in each)
        return next(faults, "")

    def _pragma(self, name: str) -> int:
        value: int = self._database.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    def _patiently(self, statement: str) -> None:
        """Execute a statement that SQLite refuses immediately while another run executes the same, and retry it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._database.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    @contextmanager
    def _used(self, what: str) -> Iterator[None]:
        """A block in which the file is used: nobody has set it aside, and nobody can meanwhile."""
        with folder_lock(self._real.parent):
            if not self._alone and file_id(self._real) != self._file:
                raise Damaged("it is not the file any more that was opened", self._file)
            try:
                yield
            except FAULTS as error:
                raise self._translated(what, error) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._used("be read"):
            return self._database.execute(query, values).fetchall()

    def _select(self, query: str, values: Sequence[bytes]) -> list[tuple[bytes, int, Any]]:
        """Names, numbers and contents of the rows whose checksums match."""
        rows: list[tuple[Any, Any, Any, Any]] = []
        with self._used("be read"):
            for start in range(0, len(values), _AT_ONCE):
                some = values[start : start + _AT_ONCE]
                rows += self._database.execute(f"{query} ({','.join('?' * len(some))})", some)
        intact = [
            (name, number, content) for name, number, text, checksum in rows for content in _content(name, number, text, checksum)
        ]
        if len(intact) < len(rows):
            say_once(f"{self.path}: some entries are damaged; what they held is asked again")
        return intact

    def _insert(self, record: Record) -> None:
        if isinstance(record, Entry):
            self._put("answers", bytes.fromhex(record.key), record.candidate, record.content)
        elif isinstance(record, FileDigest):
            self._put("digests", record.path, 0, record[1:])
        elif isinstance(record, ClearFailure):
            self._database.execute("DELETE FROM answers WHERE key = ?", (bytes.fromhex(record.key),))
        else:
            self._put("facts", bytes.fromhex(record.name), 0, record.fact)

    def _put(self, table: str, name: bytes, number: int, content: Any) -> None:
        text = _json(content)
        numbers = (number,) if table == "answers" else ()
        self._database.execute(_INSERT[table], (name, *numbers, text, _checksum(name, number, text.encode())))

    def _translated(self, what: str, error: Exception) -> Exception:
        if is_damage(error, self._real):
            return Damaged(str(error), self._file)
        return failure(self.path, what, error, alone=self._alone)


def open_store(path: Path, *, may_quarantine: bool = True) -> Store:
    """Open a journal's file; a damaged one is set aside and a new one made instead. Without `may_quarantine` it is an error.

    Raises:
        DataError: it is a database of something else.
        EnvironmentFailure: it cannot be opened.
    """
    try:
        return Store(path)
    except Damaged as damage:
        if not may_quarantine:
            raise EnvironmentFailure(f"{path} is damaged ({damage}); a run sets it aside") from damage
        set_aside(path, damage)
    try:
        return Store(path)
    except Damaged as damage:
        raise EnvironmentFailure(f"{path} cannot be written ({damage})") from damage


def _content(name: Any, number: Any, text: Any, checksum: Any) -> list[Any]:
    """The content of a row, if its checksum matches; damaged content may be of any type and depth."""
    whole = isinstance(name, bytes) and isinstance(number, int) and number >= 0 and isinstance(text, bytes)
    if not whole or _checksum(name, number, text) != checksum:
        return []
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        return []


def _is_seen(content: Any) -> bool:
    """Whether it has the shape of a file's digest: five numbers, and one text to three."""
    if not isinstance(content, list):
        return False
    numbers, texts = content[:_NUMBERS], content[_NUMBERS:]
    return (
        len(texts) in (1, 2, 3)
        and all(isinstance(each, int) for each in numbers)
        and all(isinstance(each, str) for each in texts)
    )


def _json(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can spell
        return json.dumps(content, separators=(",", ":"))
    return text


def _checksum(name: bytes, number: int, text: bytes) -> int:
    return zlib.crc32(text, zlib.crc32(number.to_bytes(8, "little"), zlib.crc32(name)))
