"""The journal: a thread that reads and writes answers, so that neither delays the engines.

Records that belong together (the answers of one call of an engine) are passed together and written in one transaction. A
transaction ends when it has 64 answers or is a second old; at most that much is lost, and asked again, when the process is
killed. Records can be read as soon as they have been passed.

A failure that is written down is not asked about again. So the failures of an op can be held back (`HeldFailures`) until it is
known that the samples are to blame; if that never comes to be known, they are forgotten.
"""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from loguru import logger

from juicecap.errors import EnvironmentFailure, JuicecapError
from juicecap.vlm.journal.earlier import open_earlier
from juicecap.vlm.journal.quarantine import Damaged, set_aside
from juicecap.vlm.journal.seen import SeenAnswers
from juicecap.vlm.journal.store import Entry, Fact, FileDigest, Record, Store, open_store

T = TypeVar("T")

MOST_ANSWERS, MOST_SECONDS = 64, 1.0
"""How many answers may wait, and how long, before they are written."""

_NAME = re.compile("[0-9a-f]{32}")
"""The name of a fact."""


class HeldFailures:
    """The failures of one op that are not written for now. `Journal.hold_failures` makes it; the journal's thread uses it."""

    def __init__(self) -> None:
        self.holding = True
        self.entries: list[Entry] = []


class Journal:
    """An open journal. `note` and the questions may be called from any thread; `close` it, or use it as a context manager.

    With `fresh` no answer is read that was there before it was opened; with `retry_rejected` no failure is. What is new is
    written all the same. What it does not know is looked up in the journal at `earlier`, if there is one, which is only read.
    """

    def __init__(
        self,
        path: Path,
        *,
        fresh: bool = False,
        retry_rejected: bool = False,
        may_quarantine: bool = True,
        earlier: Path | None = None,
    ) -> None:
        """Open the file, or make it; one that is damaged is set aside, or, without `may_quarantine`, an EnvironmentFailure.

        Raises:
            DataError: the file is a database of something else.
            EnvironmentFailure: it cannot be opened.
        """
        self._fresh, self._retry_rejected = fresh, retry_rejected
        self.ignores_failures = fresh or retry_rejected
        """Whether the failures that it contains are ignored."""
        self.seen = SeenAnswers()
        """The answers that were met since it was opened; for the core's loop alone."""
        self._may_quarantine = may_quarantine
        self._store = open_store(path, may_quarantine=may_quarantine)
        self._earlier = open_earlier(earlier) if earlier else None
        self._engines: dict[str, str] = {}
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._records: list[Record] = []
        self._held: list[HeldFailures] = []
        self._new = SeenAnswers()
        """With `fresh`: the answers that were written since it was opened; for the journal's thread alone."""
        self._answers = 0
        self._due = 0.0
        self._failure: Exception | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="juicecap-journal", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it; an error that is being raised already takes precedence."""
        try:
            self.close()
        except JuicecapError:
            if error is None:
                raise

    @property
    def has_legacy_keys(self) -> bool:
        """Whether it may have answers under keys with paths, times and addresses in them, as versions before made them.

        Such a journal says so by what it lacks (`file_signature.KEYS`), so that nobody else looks for them. Its answers count as
        long as `JOURNAL_VERSION` is 1: an increase leaves no answer of before, and legacy keys go with it.
        """
        stores = (self._store, self._earlier) if self._earlier else (self._store,)
        return any(store.has_legacy_keys for store in stores) and not self._fresh

    def append(self, records: Sequence[Record], held: HeldFailures | None = None) -> None:
        """Queue records to be written, all in one transaction; failures among them go to `held` as long as it holds.

        Raises:
            EnvironmentFailure: records before them could not be written.
        """
        self._check()
        if records and not self._closed:
            self._work.put(lambda: self._take(records, held))

    def hold_failures(self) -> HeldFailures:
        """Hold failures back: it is not known yet whether the samples or the environment is to blame."""
        held = HeldFailures()
        self._work.put(lambda: self._held.append(held))
        return held

    def release_failures(self, held: HeldFailures) -> None:
        """The samples are to blame: write the failures that were held back, and later ones."""
        self._work.put(lambda: self._release(held))

    def get_entries(self, keys: Sequence[str]) -> Future[dict[str, dict[int, Any]]]:
        """The entries of these keys, by candidate, with what is known of engines in the place of their names.

        The future raises EnvironmentFailure if they cannot be read.
        """
        return self._asked(lambda: self._with_engines(self._entries(keys)))

    def get_file_digests(self, paths: Sequence[bytes]) -> Future[dict[bytes, FileDigest]]:
        """What is known of these files."""
        return self._asked(lambda: self._file_digests(paths))

    def fact(self, name: str) -> Future[str]:
        """The fact of this name; empty if it is not known."""
        return self._asked(lambda: self._fact(name))

    def empty(self) -> bool:
        """Whether there is nothing to replay."""
        nothing = self._asked(
            lambda: not self._records and self._stored(Store.empty) and self._of_earlier(Store.empty) is not False
        )
        return self._fresh or nothing.result()

    def flush(self) -> None:
        """Return when all records passed so far are on disk.

        Raises:
            EnvironmentFailure: it cannot be written.
        """
        self._asked(self._write).result()

    def close(self) -> None:
        """Write the remaining records and close the file.

        Raises:
            EnvironmentFailure: something could not be written.
        """
        if self._closed:
            return
        try:
            self.flush()
        finally:
            self._closed = True
            self._work.put(None)
            self._thread.join()
            self._store.close()
            self._forget_earlier()

    def _asked(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                self._check()
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  (it is raised where the future is awaited)
                future.set_exception(error)

        if self._closed:
            future.set_exception(EnvironmentFailure("the journal is closed"))
        else:
            self._work.put(run)
        return future

    def _check(self) -> None:
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        """The thread: runs queries and takes records in order, and writes when that is due."""
        while True:
            try:
                work = self._work.get(timeout=max(0.0, self._due - time.monotonic()) if self._records else None)
            except queue.Empty:
                self._write_or_fail()
                continue
            if work is None:
                return
            work()
            if self._answers >= MOST_ANSWERS or (self._records and time.monotonic() >= self._due):
                self._write_or_fail()

    def _release(self, held: HeldFailures) -> None:
        if held.holding:
            held.holding = False
            self._held.remove(held)
            self._take(held.entries, None)

    def _take(self, records: Sequence[Record], held: HeldFailures | None) -> None:
        if held and held.holding:
            failures = [record for record in records if isinstance(record, Entry) and "failure" in record.content]
            held.entries += failures
            records = [record for record in records if record not in failures]
        if not records:
            return
        if not self._records:
            self._due = time.monotonic() + MOST_SECONDS
        self._records += records
        self._answers += sum(isinstance(record, Entry) for record in records)

    def _write_or_fail(self) -> None:
        try:
            if not self._failure:
                self._write()
        except Exception as error:  # noqa: BLE001  (a thread that ended would leave everybody waiting: it is raised where they are)
            self._failure = error
        if self._failure:
            self._forget()

    def _write(self) -> None:
        if self._records:
            self._stored(lambda store: store.write(self._records))
            if self._fresh:
                for each in self._records:
                    if isinstance(each, Entry):
                        self._new.add(each.key, each.candidate)
            self._forget()

    def _forget(self) -> None:
        self._records, self._answers = [], 0

    def _stored(self, work: Callable[[Store], T]) -> T:
        """`work` with the store; with a new one if the store is damaged, or was set aside by another run."""
        try:
            return work(self._store)
        except Damaged as damage:
            self._reopen(damage)
        try:
            return work(self._store)
        except Damaged as damage:
            raise EnvironmentFailure(f"{self._store.path} cannot be used ({damage}); running again resumes") from damage

    def _reopen(self, damage: Damaged) -> None:
        path = self._store.path
        self._store.close()
        try:
            if self._may_quarantine:
                set_aside(path, damage)
            self._store = open_store(path, may_quarantine=self._may_quarantine)
        except JuicecapError as error:
            self._failure = error
            raise

    def _of_earlier(self, work: Callable[[Store], T]) -> T | None:
        """`work` with the earlier journal; None if there is none, or if it turns out to be damaged."""
        if self._earlier is None:
            return None
        try:
            return work(self._earlier)
        except (Damaged, EnvironmentFailure) as error:
            logger.warning("{} is not used any more: {}", self._earlier.path, error)
            self._forget_earlier()
            return None

    def _forget_earlier(self) -> None:
        if self._earlier:
            self._earlier.close()
            self._earlier = None

    def _entries(self, keys: Sequence[str]) -> dict[str, dict[int, Any]]:
        found = {} if self._fresh else self._of_earlier(lambda store: store.answers(keys)) or {}
        for key, entries in self._stored_entries(keys).items():
            found[key] = {**found.get(key, {}), **entries}
        wanted = set(keys)
        for record in (*self._records, *(entry for held in self._held for entry in held.entries)):
            if isinstance(record, Entry) and record.key in wanted:
                found.setdefault(record.key, {})[record.candidate] = record.content
        if self.ignores_failures:
            found = {
                key: {number: entry for number, entry in entries.items() if "failure" not in entry}
                for key, entries in found.items()
            }
        return found

    def _with_engines(self, found: dict[str, dict[int, Any]]) -> dict[str, dict[int, Any]]:
        for entries in found.values():
            for number, entry in entries.items():
                if isinstance(entry, dict) and "engine" in entry:
                    entries[number] = {**entry, "engine": self._engine(entry["engine"])}
        return found

    def _engine(self, name: Any) -> str:
        """What is known of the engine with this name; empty if nothing is."""
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            return ""
        if name not in self._engines:
            self._engines[name] = self._known_fact(name)  # also with `fresh`: the name is a digest of what it names
        return self._engines[name]

    def _stored_entries(self, keys: Sequence[str]) -> dict[str, dict[int, Any]]:
        """The entries in the file; with `fresh` those that were written since it was opened."""
        if self._fresh and not self._new:
            return {}
        stored = self._stored(lambda store: store.answers(keys))
        if not self._fresh:
            return stored
        return {
            key: new
            for key, entries in stored.items()
            if (new := {number: entry for number, entry in entries.items() if self._new.has(key, number)})
        }

    def _file_digests(self, paths: Sequence[bytes]) -> dict[bytes, FileDigest]:
        if self._fresh:
            return {}
        found = self._of_earlier(lambda store: store.file_digests(paths)) or {}
        found |= self._stored(lambda store: store.file_digests(paths))
        wanted = set(paths)
        return found | {
            record.path: record for record in self._records if isinstance(record, FileDigest) and record.path in wanted
        }

    def _fact(self, name: str) -> str:
        return "" if self._fresh else self._known_fact(name)

    def _known_fact(self, name: str) -> str:
        for record in self._records:
            if isinstance(record, Fact) and record.name == name:
                return record.fact
        return self._stored(lambda store: store.fact(name)) or self._of_earlier(lambda store: store.fact(name)) or ""
