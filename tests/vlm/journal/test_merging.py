"""Several journals as one, and journals that are only read."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.earlier import EarlierStore, open_earlier
from juicecap.vlm.journal.file_signature import KEYS
from juicecap.vlm.journal.merging import Merged, merged_entries
from juicecap.vlm.journal.store import Entry, Fact, FileDigest

A, B, C = ("0a" * 16, "0b" * 16, "0c" * 16)
DIGEST = FileDigest(b"/a.mp4", 1, 2, 3, 4, 5, "f" * 32, "")


def answer(text: str, **more: object) -> dict:
    return {"text": text, "finish_reason": "stop", "tokens": 1, **more}


FAILURE = {"failure": {"code": "REFUSED", "message": "no", "attempts": 1}, "asked": [0, 1]}


def journal(path: Path, *records: object) -> Path:
    with Journal(path) as opened:
        opened.append(records)
    return path


def merged(*paths: Path) -> list[Merged]:
    with ExitStack() as stack:
        return list(merged_entries([stack.enter_context(closing(EarlierStore(path))) for path in paths]))


def test_each_entry_once_in_order_and_who_says_otherwise(tmp_path: Path) -> None:
    first = journal(tmp_path / "1.sqlite", Entry(B, 0, answer("b")), Entry(A, 1, answer("a1")), Entry(C, 0, FAILURE))
    second = journal(tmp_path / "2.sqlite", Entry(A, 0, answer("a0")), Entry(B, 0, answer("other")), Entry(C, 0, FAILURE))
    third = journal(tmp_path / "3.sqlite", Entry(B, 0, answer("b", opened=True)), Entry(C, 0, answer("c")))
    assert merged(first, second, third) == [
        Merged(Entry(A, 0, answer("a0")), ()),
        Merged(Entry(A, 1, answer("a1")), ()),
        Merged(Entry(B, 0, answer("b")), (1,)),
        Merged(Entry(C, 0, answer("c")), (0, 1)),
    ]
    assert merged() == []


def test_values_that_were_measured_at_other_times_are_the_same(tmp_path: Path) -> None:
    paths = [journal(tmp_path / f"{seen}.sqlite", Entry(A, 0, {"value": 1.5, "seen": seen})) for seen in (1, 2)]
    assert merged(*paths) == [Merged(Entry(A, 0, {"value": 1.5, "seen": 1}), ())]


def test_more_entries_than_are_read_at_once(tmp_path: Path) -> None:
    entries = [Entry(f"{number:032x}", candidate, answer(f"{number}")) for number in range(700) for candidate in (0, 1)]
    path = journal(tmp_path / "many.sqlite", *reversed(entries))
    assert [each.entry for each in merged(path)] == entries


def test_a_damaged_entry_is_passed_over(tmp_path: Path) -> None:
    path = journal(tmp_path / "j.sqlite", Entry(A, 0, answer("a")), Entry(B, 0, answer("b")))
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE answers SET checksum = 1 WHERE key = ?", (bytes.fromhex(A),))
        database.commit()
    assert [each.entry.key for each in merged(path)] == [B]


def test_facts_and_digests(tmp_path: Path) -> None:
    path = journal(tmp_path / "j.sqlite", Fact(A, "images"), DIGEST)
    with closing(EarlierStore(path)) as store:
        assert list(store.facts_and_digests()) == [Fact(A, "images"), DIGEST]


class TestEarlier:
    def test_what_a_journal_does_not_know_comes_from_the_earlier_one(self, tmp_path: Path) -> None:
        earlier = journal(
            tmp_path / "earlier.sqlite", Entry(A, 0, answer("old")), Entry(A, 1, answer("old 1")), Fact(B, "f"), DIGEST
        )
        own = journal(tmp_path / "own.sqlite", Entry(A, 0, answer("new")))
        before = earlier.read_bytes()
        with Journal(own, earlier=earlier) as opened:
            assert opened.get_entries([A, B]).result() == {A: {0: answer("new"), 1: answer("old 1")}}
            assert (opened.fact(B).result(), opened.get_file_digests([b"/a.mp4"]).result()) == ("f", {b"/a.mp4": DIGEST})
            assert not opened.empty()
        with Journal(tmp_path / "empty.sqlite", earlier=earlier) as opened:
            assert not opened.empty()
        with Journal(tmp_path / "empty.sqlite", earlier=earlier, fresh=True) as opened:
            assert (opened.empty(), opened.get_entries([A]).result(), opened.fact(B).result()) == (True, {}, "")
        assert earlier.read_bytes() == before
        assert sorted(each.name for each in tmp_path.iterdir()) == ["earlier.sqlite", "empty.sqlite", "own.sqlite"]

    def test_one_of_before_may_have_entries_under_legacy_keys(self, tmp_path: Path) -> None:
        new, old = (journal(tmp_path / name / "j.sqlite", Entry(A, 0, answer("a"))) for name in ("new", "old"))
        with closing(sqlite3.connect(old)) as database, database:
            database.execute("DELETE FROM facts WHERE name = ?", (KEYS,))
        for earlier, legacy in ((new, False), (old, True)):
            with Journal(tmp_path / "own.sqlite", earlier=earlier) as opened:
                assert opened.has_legacy_keys is legacy

    def test_it_is_read_where_nothing_can_be_written(self, tmp_path: Path) -> None:
        path = journal(tmp_path / "there" / "j.sqlite", Entry(A, 0, answer("a")))
        path.chmod(0o444)
        os.chmod(path.parent, 0o555)
        try:
            with closing(EarlierStore(path)) as store:
                assert store.answers([A]) == {A: {0: answer("a")}}
        finally:
            os.chmod(path.parent, 0o755)

    @pytest.mark.parametrize("content", [b"", b"x" * 5000, None])
    def test_one_that_cannot_be_used_is_told_and_left_alone(self, tmp_path: Path, content: bytes | None, said: list[str]) -> None:
        path = tmp_path / "j.sqlite"
        if content is None:
            assert open_earlier(path) is None
            return
        path.write_bytes(content)
        with Journal(tmp_path / "own.sqlite", earlier=path) as opened:
            assert opened.get_entries([A]).result() == {}
        assert (path.read_bytes(), len(said)) == (content, 1)
        assert said[0].startswith(f"{path} is not used: ")

    def test_damage_that_shows_while_it_is_read_costs_only_what_it_held(self, tmp_path: Path, said: list[str]) -> None:
        entries = [Entry(f"{number:032x}", 0, answer("x" * 300)) for number in range(500)]
        earlier = journal(tmp_path / "earlier.sqlite", *entries)
        content = bytearray(earlier.read_bytes())
        content[4096 * 8 :] = b"\xff" * (len(content) - 4096 * 8)
        earlier.write_bytes(content)
        with Journal(tmp_path / "own.sqlite", earlier=earlier) as opened:
            assert len(opened.get_entries([each.key for each in entries]).result()) < 500
            opened.append([Entry(A, 0, answer("a"))])
            assert opened.get_entries([A]).result() == {A: {0: answer("a")}}
