"""A journal that is none of ours in all but its form: what it says costs its own entries, and nothing in it runs."""

from __future__ import annotations

import os
import sqlite3
import zlib
from pathlib import Path

import pytest

from juicecap.errors import DataError
from juicecap.vlm.base import Answer
from juicecap.vlm.journal.entries import medium_failure, outcome_of
from juicecap.vlm.journal.shapes import sound, sound_medium
from juicecap.vlm.journal.store import Entry, Store, open_store

from .conftest import written

A = "aa" * 16
WHOLE = {"prompt_tokens": 5, "revision": "r", "frame_times": [[0.0, 0.5]], "unreadable": 0}
ANSWER = {"text": "a ship", "finish_reason": "stop", "tokens": 2}
FAILURE = {"failure": {"code": "X", "message": "m", "attempts": 1}, "asked": [0, 1]}
ODD = [None, 1, -1, True, 10**300, float("inf"), float("nan"), "x", [], {}, [[]], [["x"]], [{}], {"a": 1}]


def planted(path: Path, text: str, table: str = "answers") -> None:
    """A row whose checksum is right."""
    name = bytes.fromhex(A)
    written(path, Entry(A, 0, ANSWER))
    numbers = (0,) if table == "answers" else ()
    checksum = zlib.crc32(text.encode(), zlib.crc32((0).to_bytes(8, "little"), zlib.crc32(name)))
    with sqlite3.connect(path) as database:
        marks = ", ".join("?" * (3 + len(numbers)))
        database.execute(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", (name, *numbers, text, checksum))


@pytest.mark.parametrize("name", [*WHOLE, *ANSWER])
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_an_answer_of_another_shape_is_none(name: str, value: object) -> None:
    right = type(value) is type({**WHOLE, **ANSWER}[name]) and not (isinstance(value, int) and not 0 <= value <= 2**53)
    outcome = outcome_of(sound({0: {**ANSWER, **WHOLE, name: value}}), 7, 1)
    assert outcome.failure is None
    assert not outcome.answers or right
    assert outcome_of(sound({0: {**ANSWER, **WHOLE}}), 7, 1).answers == (
        Answer(text="a ship", finish_reason="stop", tokens=2, seed=7),
    )


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_a_failure_of_another_shape_is_none(value: object) -> None:
    for odd in (
        {**FAILURE, "failure": value},
        {**FAILURE, "asked": value},
        {**FAILURE, "path": value},
        *({**FAILURE, "failure": {**FAILURE["failure"], name: value}} for name in ("code", "message", "attempts", "more")),
    ):
        outcome = outcome_of(sound({0: odd}), 7, 1)
        assert outcome.answers == ()
        assert outcome.failure is None or odd["failure"]["code"] in ("X", value)
        medium = medium_failure(sound_medium({0: odd}), "a.mp4")
        assert medium is None or isinstance(odd["path"], str)
    assert sound({0: value, 1: value}) == sound_medium({0: value}) == {}
    assert medium_failure(sound_medium({0: {**ANSWER, **WHOLE}}), "a.mp4") is None


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "", "nonsense"], ids=["deep", "deeper", "digits", "empty", "none"]
)
def test_what_is_no_json_or_too_deep_is_damage(path: Path, said: list[str], text: str) -> None:
    planted(path, text)
    store = Store(path)
    assert store.answers([A]) == {}
    assert said == [f"{path}: some entries are damaged; what they held is asked again"]
    store.close()


@pytest.mark.parametrize(
    "text", ["null", "1", "{}", "[]", "[1, 2, 3, 4, 5, 6]", '[1, 2, 3, 4, "5", "6"]', '[1, 2, 3, 4, 5, "6", 7]']
)
def test_what_is_known_of_files_and_servers_is_of_its_type(path: Path, text: str) -> None:
    planted(path, text, "digests")
    planted(path, text, "facts")
    store = Store(path)
    assert store.file_digests([bytes.fromhex(A)]) == {}
    assert store.fact(A) is None
    store.close()


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON answers BEGIN DELETE FROM answers; END", "trigger"),
        ("CREATE TRIGGER t BEFORE INSERT ON digests BEGIN SELECT zeroblob(1000000000); END", "trigger"),
        ("CREATE INDEX i ON facts (length(zeroblob(1000000000)))", "index"),
    ],
)
def test_nothing_in_it_runs(path: Path, statement: str, kind: str) -> None:
    written(path, Entry(A, 0, ANSWER))
    with sqlite3.connect(path) as database:
        database.execute(statement)
    before = path.read_bytes()
    with pytest.raises(
        DataError, match=f"has a {kind} of somebody else's on its tables: drop it, or give another path as journal"
    ):
        open_store(path)
    assert path.read_bytes() == before
    assert sorted(each.name for each in path.parent.iterdir() if "damaged" in each.name) == []


@pytest.mark.parametrize("part", ["", "-journal", "-shm", "-wal"])
def test_a_pipe_is_waited_for_by_nobody(path: Path, part: str) -> None:
    written(path, Entry(A, 0, ANSWER))
    if not part:
        path.unlink()
    os.mkfifo(f"{path}{part}")
    with pytest.raises(
        DataError, match=f"journal.sqlite{part} is a named pipe, not a file; remove it, or give another path as journal"
    ):
        open_store(path)
