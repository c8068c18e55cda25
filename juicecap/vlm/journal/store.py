"""The journal's file: an SQLite database with answers, digests of media, and what was found out about servers.

It is written in short transactions, each of them on disk when it ends (WAL, synchronous FULL), so that whatever kills the
process leaves whole transactions. Several runs may use one file at once; on a network file system, where that cannot work,
the first one has it to itself. Each entry carries a checksum, since SQLite has none: what does not fit it is not there.

Not covered: a disk that says it has written and has not.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from juicecap.errors import DataError, EnvironmentFailure, JuicecapError
from juicecap.notice import say_once
from juicecap.vlm.journal.network import on_network

APPLICATION, VERSION = 0x4A434150, 1
"""How SQLite's header names the file: "JCAP", and the number of its schema."""

PATIENCE = 60.0
"""Seconds to wait for another run that writes."""

_SCHEMA = """
CREATE TABLE answers (key BLOB, candidate INTEGER, entry TEXT, checksum INTEGER, PRIMARY KEY (key, candidate)) WITHOUT ROWID;
CREATE TABLE digests (path BLOB PRIMARY KEY, inode INTEGER, size INTEGER, modified INTEGER, changed INTEGER, seen INTEGER,
    digest TEXT) WITHOUT ROWID;
CREATE TABLE facts (name BLOB PRIMARY KEY, fact TEXT) WITHOUT ROWID;
"""
_AT_ONCE = 500
"""Keys in one query."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Entry(NamedTuple):
    """One candidate's answer, or why there is none."""

    key: str
    candidate: int
    content: dict[str, Any]


class SeenFile(NamedTuple):
    """A medium's file as it was when it was digested. Times are in nanoseconds."""

    path: bytes
    inode: int
    size: int
    modified: int
    changed: int
    seen: int
    digest: str


@dataclass(frozen=True)
class Fact:
    """Something that was found out, by name."""

    name: str
    fact: str


@dataclass(frozen=True)
class Usable:
    """A medium, by its key, that can be used after all: what stands there against it goes."""

    key: str


Record = Entry | SeenFile | Fact | Usable


class Damaged(Exception):
    """The file is no whole database."""


class Store:
    """The open file. One thread uses it."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            Damaged: what is there is not whole.
            DataError: it is a database of something else.
            EnvironmentFailure: it cannot be opened.
        """
        self.path = path
        self._alone = on_network(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise self._cannot("be opened", error) from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._database.close()
            raise self._translated("be opened", error) from error
        except BaseException:
            self._database.close()
            raise

    def answers(self, keys: Sequence[str]) -> dict[str, dict[int, Any]]:
        """What is there for each of these keys, by candidate."""
        found: dict[str, dict[int, Any]] = {}
        for key, candidate, text, checksum in self._select(
            "SELECT key, candidate, entry, checksum FROM answers WHERE key IN", [bytes.fromhex(key) for key in keys]
        ):
            if checksum == _checksum(key, candidate, text):
                found.setdefault(key.hex(), {})[candidate] = json.loads(text)
            else:
                say_once(f"{self.path}: some entries are damaged; what they held is asked again")
        return found

    def seen(self, paths: Sequence[bytes]) -> dict[bytes, SeenFile]:
        """What is known of these files."""
        query = "SELECT path, inode, size, modified, changed, seen, digest FROM digests WHERE path IN"
        return {row[0]: SeenFile(*row) for row in self._select(query, paths)}

    def fact(self, name: str) -> str | None:
        """A fact, if it is known."""
        return next((fact for (fact,) in self._select("SELECT fact FROM facts WHERE name IN", [bytes.fromhex(name)])), None)

    def empty(self) -> bool:
        """Whether there are no answers."""
        try:
            return self._database.execute("SELECT 1 FROM answers LIMIT 1").fetchone() is None
        except sqlite3.Error as error:
            raise self._translated("be read", error) from error

    def write(self, records: Iterable[Record]) -> None:
        """Write records in one transaction; when it returns they are on disk.

        Raises:
            Damaged: the file is not whole.
            EnvironmentFailure: they cannot be written.
        """
        try:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                for record in records:
                    self._insert(record)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._translated("be written", error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _prepare(self) -> None:
        if self._alone:
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._pragma("application_id")  # reads the header: a file that is no database shows here
        self._patiently("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        if verdict := [row[0] for row in self._database.execute("PRAGMA quick_check(1)") if row[0] != "ok"]:
            raise Damaged(verdict[0])
        self._database.execute("BEGIN IMMEDIATE")
        application, version = self._pragma("application_id"), self._pragma("user_version")
        tables = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application == 0 and not tables:
            for statement in _SCHEMA.split(";")[:-1]:
                self._database.execute(statement)
            self._database.execute(f"PRAGMA application_id={APPLICATION}")
            self._database.execute(f"PRAGMA user_version={VERSION}")
        elif application != APPLICATION:
            raise DataError(f"{self.path} is a database of something else: give another path as journal")
        elif version != VERSION:
            raise DataError(f"{self.path} is the journal of another version of juicecap: give another path as journal")
        self._database.execute("COMMIT")

    def _pragma(self, name: str) -> int:
        value: int = self._database.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    def _patiently(self, statement: str) -> None:
        """Execute what SQLite refuses at once, without waiting, while another run does the same."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._database.execute(statement)
                return
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def _select(self, query: str, values: Sequence[Any]) -> Iterable[tuple[Any, ...]]:
        try:
            for start in range(0, len(values), _AT_ONCE):
                some = values[start : start + _AT_ONCE]
                yield from self._database.execute(f"{query} ({','.join('?' * len(some))})", some).fetchall()
        except sqlite3.Error as error:
            raise self._translated("be read", error) from error

    def _insert(self, record: Record) -> None:
        if isinstance(record, Entry):
            key, text = bytes.fromhex(record.key), _json(record.content)
            values = (key, record.candidate, text, _checksum(key, record.candidate, text))
            self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", values)
        elif isinstance(record, SeenFile):
            self._database.execute("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?)", record)
        elif isinstance(record, Usable):
            self._database.execute("DELETE FROM answers WHERE key = ?", (bytes.fromhex(record.key),))
        else:
            self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (bytes.fromhex(record.name), record.fact))

    def _translated(self, what: str, error: sqlite3.Error) -> Exception:
        return Damaged(str(error)) if _code(error) in _DAMAGED else self._cannot(what, error)

    def _cannot(self, what: str, error: Exception) -> JuicecapError:
        code = _code(error)
        if code == sqlite3.SQLITE_FULL:
            return EnvironmentFailure(f"{self.path} cannot {what}: no space left; free some space and run again, which resumes")
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            hint = "; on a network file system only one run at a time can: give each a journal of its own" if self._alone else ""
            return EnvironmentFailure(f"{self.path} cannot {what}: another run holds it{hint}")
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return EnvironmentFailure(f"{self.path} cannot {what} ({reason}); running again resumes")


def open_store(path: Path) -> Store:
    """Open a journal's file; a damaged one is set aside, and a new one made in its place.

    Raises:
        DataError: it is a database of something else.
        EnvironmentFailure: it cannot be opened.
    """
    try:
        return Store(path)
    except Damaged as damage:
        set_aside(path, damage)
    try:
        return Store(path)
    except Damaged as damage:
        raise EnvironmentFailure(f"{path} cannot be written ({damage})") from damage


def set_aside(path: Path, damage: Damaged) -> None:
    """Rename a damaged file, with what belongs to it, and say so.

    Raises:
        EnvironmentFailure: it cannot be renamed.
    """
    new = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S.%f}")
    try:
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(new.with_name(new.name + suffix))
    except OSError as error:
        raise EnvironmentFailure(f"{path} is damaged ({damage}) and cannot be renamed ({error.strerror})") from error
    say_once(f"the journal {path} is damaged ({damage}); it is set aside as {new.name}, and what it held is asked again")


def _code(error: Exception) -> int | None:
    """SQLite's primary result code."""
    extended = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF


def _json(content: dict[str, Any]) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can spell
        return json.dumps(content, separators=(",", ":"))
    return text


def _checksum(key: bytes, candidate: int, text: str) -> int:
    return zlib.crc32(text.encode(), zlib.crc32(candidate.to_bytes(8, "little"), zlib.crc32(key)))
