"""The journal's thread: what lands together, when, and what happens if it cannot."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from waiting import until

from juicecap.errors import EnvironmentFailure
from juicecap.vlm.base import digest_of
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal import journal as journal_module
from juicecap.vlm.journal.entries import engine_entry
from juicecap.vlm.journal.store import Entry, Fact, FileDigest, Store

from .conftest import key


def entries(*numbers: int) -> list[Entry]:
    return [Entry(key(number), 0, {"text": str(number)}) for number in numbers]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def transactions(monkeypatch) -> list[list[str]]:
    """The texts of each transaction."""
    seen: list[list[str]] = []
    real = Store.write

    def write(self, records):
        real(self, records)
        seen.append([record.content["text"] for record in records if isinstance(record, Entry)])

    monkeypatch.setattr(Store, "write", write)
    return seen


def on_disk(path: Path) -> list[str]:
    """What a process that knows nothing of this one can read."""
    database = sqlite3.connect(path)
    rows = database.execute("SELECT key FROM answers ORDER BY key").fetchall()
    database.close()
    return [str(int(row[0].hex(), 16)) for row in rows]


def test_what_was_noted_is_found_before_it_is_written(path, transactions, monkeypatch):
    monkeypatch.setattr(journal_module, "MOST_SECONDS", 60.0)
    with Journal(path) as journal:
        journal.append(entries(1, 2))
        journal.append([Fact(key(9), "frames"), FileDigest(b"a", 1, 2, 3, 4, 5, "d")])
        assert journal.get_entries([key(1), key(3)]).result() == {key(1): {0: {"text": "1"}}}
        assert journal.fact(key(9)).result() == "frames"
        assert journal.get_file_digests([b"a"]).result()[b"a"].digest == "d"
        assert not journal.empty()
        assert transactions == []
    assert transactions == [["1", "2"]]


def test_a_transaction_is_written_when_it_is_a_second_old(path):
    with Journal(path) as journal:
        began = time.monotonic()
        journal.append(entries(1))
        until(lambda: on_disk(path))
        assert time.monotonic() - began > 0.9


def test_a_transaction_is_written_when_it_has_64_answers(path, transactions, monkeypatch):
    monkeypatch.setattr(journal_module, "MOST_SECONDS", 60.0)
    with Journal(path) as journal:
        for number in range(63):
            journal.append(entries(number))
        journal.get_entries([]).result()
        assert transactions == []
        journal.append(entries(63))
        journal.get_entries([]).result()
        assert [len(texts) for texts in transactions] == [64]


def test_what_is_noted_together_lands_together(path, transactions, monkeypatch):
    monkeypatch.setattr(journal_module, "MOST_ANSWERS", 4)
    with Journal(path) as journal:
        journal.append(entries(*range(3)))
        journal.append(entries(*range(10, 20)))
        journal.append(entries(*range(20, 23)))
    assert transactions == [[str(n) for n in (*range(3), *range(10, 20))], [str(n) for n in range(20, 23)]]


def test_flushing_writes_at_once(path):
    with Journal(path) as journal:
        journal.append(entries(5))
        journal.flush()
        assert on_disk(path) == ["5"]


class TestDoubt:
    def failing(self, *numbers: int) -> list[Entry]:
        return [Entry(key(number), 0, {"failure": {"code": "GENERATE_FAILED"}}) for number in numbers]

    def test_failures_are_held_back_and_answers_are_not(self, path):
        with Journal(path) as journal:
            held = journal.hold_failures()
            journal.append([*entries(1), *self.failing(2)], held)
            journal.flush()
            assert on_disk(path) == ["1"]
            assert journal.get_entries([key(2)]).result() == {key(2): {0: {"failure": {"code": "GENERATE_FAILED"}}}}

    def test_what_nobody_trusts_is_forgotten(self, path):
        with Journal(path) as journal:
            held = journal.hold_failures()
            journal.append(self.failing(1), held)
        assert on_disk(path) == []

    def test_what_is_trusted_is_written_and_so_is_what_comes_then(self, path):
        with Journal(path) as journal:
            held = journal.hold_failures()
            journal.append(self.failing(1), held)
            journal.release_failures(held)
            journal.append(self.failing(2), held)
            journal.flush()
            assert on_disk(path) == ["1", "2"]

    def test_each_op_has_its_own_doubt(self, path):
        with Journal(path) as journal:
            first, second = journal.hold_failures(), journal.hold_failures()
            journal.append(self.failing(1), first)
            journal.append(self.failing(2), second)
            journal.append(self.failing(3))
            journal.release_failures(second)
            journal.flush()
            assert on_disk(path) == ["2", "3"]
            assert journal.get_entries([key(1)]).result() == {key(1): {0: {"failure": {"code": "GENERATE_FAILED"}}}}


def test_fresh_reads_nothing_and_writes(path):
    with Journal(path) as journal:
        journal.append([*entries(1), Fact(key(9), "frames"), FileDigest(b"a", 1, 2, 3, 4, 5, "d")])
    with Journal(path, fresh=True) as journal:
        assert journal.empty()
        assert journal.get_entries([key(1)]).result() == {}
        assert (journal.fact(key(9)).result(), journal.get_file_digests([b"a"]).result()) == ("", {})
        journal.append(entries(2))
    assert on_disk(path) == ["1", "2"]


def test_fresh_knows_what_was_answered_since_it_was_opened(path):
    """Of a question that comes twice in a run, the second one is not asked, whether or not the first one's answer is on disk."""
    with Journal(path) as journal:
        journal.append(entries(1, 2))
    with Journal(path, fresh=True) as journal:
        journal.append([Entry(key(1), 0, {"text": "new"})])
        assert journal.get_entries([key(1), key(2)]).result() == {key(1): {0: {"text": "new"}}}
        journal.flush()
        assert journal.get_entries([key(1), key(2)]).result() == {key(1): {0: {"text": "new"}}}
    with Journal(path, fresh=True) as journal:
        assert journal.get_entries([key(1)]).result() == {}


def test_fresh_knows_the_engine_of_an_answer_before_and_after_it_is_on_disk(path):
    engine = '{"juicecap": "1"}'
    with Journal(path, fresh=True) as journal:
        journal.append([*engine_entry(engine), Entry(key(1), 0, {"text": "new", "engine": digest_of(engine)})])
        for _ in range(2):
            assert journal.get_entries([key(1)]).result() == {key(1): {0: {"text": "new", "engine": engine}}}
            journal.flush()
    with Journal(path, fresh=True) as journal:
        journal.append([Entry(key(2), 0, {"text": "newer", "engine": digest_of(engine)})])
        assert journal.get_entries([key(2)]).result() == {key(2): {0: {"text": "newer", "engine": engine}}}


def test_retrying_what_was_rejected_hides_failures_alone(path):
    failed = Entry(key(1), 1, {"failure": {"code": "X", "message": "m"}, "asked": [1, 2]})
    with Journal(path) as journal:
        journal.append([*entries(1, 2), failed])
        assert journal.get_entries([key(1)]).result() == {key(1): {0: {"text": "1"}, 1: failed.content}}
    with Journal(path, retry_rejected=True) as journal:
        assert journal.get_entries([key(1), key(2)]).result() == {key(1): {0: {"text": "1"}}, key(2): {0: {"text": "2"}}}


def full(self, records):
    raise EnvironmentFailure("journal.sqlite cannot be written: no space left")


def test_a_disk_that_is_full_is_told_to_who_notes_next_and_at_the_end(path, monkeypatch):
    monkeypatch.setattr(Store, "write", full)
    monkeypatch.setattr(journal_module, "MOST_ANSWERS", 1)
    journal = Journal(path)
    journal.append(entries(1))
    with pytest.raises(EnvironmentFailure, match="no space left"):
        journal.get_entries([key(1)]).result()
    with pytest.raises(EnvironmentFailure, match="no space left"):
        journal.append(entries(2))
    with pytest.raises(EnvironmentFailure, match="no space left"):
        journal.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "juicecap-journal"]


def test_what_cannot_be_written_at_the_end_is_not_lost_in_silence(path, monkeypatch):
    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(EnvironmentFailure, match="no space left"), Journal(path) as journal:
        journal.append(entries(1))


def test_another_error_is_not_hidden_by_that_of_the_journal(path, monkeypatch):
    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(ZeroDivisionError), Journal(path) as journal:
        journal.append(entries(1))
        raise ZeroDivisionError


def test_damage_that_shows_while_it_is_used_costs_what_it_held_and_no_more(path, said):
    with Journal(path) as journal:
        journal.append([Entry(key(number), 0, {"text": "x" * 2000}) for number in range(200)])
    with Journal(path) as journal:
        raw = bytearray(path.read_bytes())
        raw[4096 * 2 :] = bytes(len(raw) - 4096 * 2)
        path.write_bytes(raw)
        journal._store._database.execute("PRAGMA shrink_memory")  # what it has read before
        journal.append(entries(900))
        assert journal.get_entries([key(number) for number in range(200)]).result() == {}
        journal.append(entries(901))
    assert len(said) == 1
    assert "is set aside as journal.sqlite.damaged-" in said[0]
    assert on_disk(path) == ["900", "901"]


def test_a_closed_journal_takes_nothing_and_says_so_to_who_asks(path):
    journal = Journal(path)
    journal.close()
    journal.close()
    journal.append(entries(1))
    with pytest.raises(EnvironmentFailure, match="the journal is closed"):
        journal.get_entries([key(1)]).result()
    assert on_disk(path) == []
