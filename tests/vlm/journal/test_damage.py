"""A journal that is damaged: single entries, whole files, every byte that counts, and several runs that find it so."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from typing import NamedTuple

import pytest

from juicecap.errors import DataError, EnvironmentFailure
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.file_signature import is_journal
from juicecap.vlm.journal.quarantine import Damaged, file_id, set_aside
from juicecap.vlm.journal.store import Entry, Fact, FileDigest, Store, open_store

from .conftest import key, written

A, B, C = "aa" * 16, "bb" * 16, "cc" * 16

CLIP = FileDigest(b"/clips/ship.mp4", 1, 2, 3, 4, 5, "digest of a ship")


def aside(path: Path) -> list[Path]:
    """Databases that were set aside, without what belongs to them."""
    names = [file for file in path.parent.iterdir() if ".damaged-" in file.name]
    return [file for file in names if not file.name.endswith(("-wal", "-shm", "-journal"))]


class TestEntries:
    """What is damaged is as if it were not there, and its neighbours are."""

    @pytest.mark.parametrize(
        "harm",
        [
            pytest.param(lambda raw, place: raw[place] ^ 1, id="another letter"),
            pytest.param(lambda raw, place: raw[place] ^ 0x80, id="no UTF-8"),
            pytest.param(lambda raw, place: ord('"'), id="no JSON"),
        ],
    )
    def test_a_byte_of_the_text(self, path, said, harm):
        written(path, Entry(A, 0, {"text": "ship"}), Entry(B, 0, {"text": "boat"}), Entry(C, 0, {"text": "raft"}))
        raw = bytearray(path.read_bytes())
        place = raw.index(b'"boat"') + 2
        raw[place] = harm(raw, place)
        path.write_bytes(raw)
        store = Store(path)
        assert store.answers([A, B, C]) == {A: {0: {"text": "ship"}}, C: {0: {"text": "raft"}}}
        assert store.answers([B]) == {}
        assert said == [f"{path}: some entries are damaged; what they held is asked again"]
        store.write([Entry(B, 0, {"text": "boat"})])
        assert store.answers([B]) == {B: {0: {"text": "boat"}}}
        store.close()

    @pytest.mark.parametrize(
        "column", ["candidate = x'00'", "candidate = 'x'", "candidate = -1", "candidate = 0.5", "candidate = 9"]
    )
    @pytest.mark.parametrize("other", ["checksum = checksum", "checksum = NULL", "checksum = x'ff'", "entry = NULL", "entry = 7"])
    def test_a_value_of_another_type(self, path, said, column, other):
        written(path, Entry(A, 0, {"text": "ship"}), Entry(B, 0, {"text": "boat"}))
        with sqlite3.connect(path) as database:
            database.execute(f"UPDATE answers SET {column}, {other} WHERE key = ?", (bytes.fromhex(B),))
        with Journal(path) as journal:
            assert journal.get_entries([A, B]).result() == {A: {0: {"text": "ship"}}}
        assert said == [f"{path}: some entries are damaged; what they held is asked again"]

    def test_a_digest_and_a_fact(self, path, said):
        """A wrong digest would give another seed, and a wrong fact another engine."""
        written(path, CLIP, CLIP._replace(path=b"/clips/boat.mp4"), Fact(A, "frames"), Fact(B, "whole"))
        raw = bytearray(path.read_bytes())
        raw[raw.index(b"frames")] ^= 1
        path.write_bytes(raw)
        with sqlite3.connect(path) as database:
            database.execute("UPDATE digests SET entry = replace(entry, 'ship', 'shop') WHERE path = ?", (CLIP.path,))
        with Journal(path) as journal:
            assert journal.get_file_digests([CLIP.path, b"/clips/boat.mp4"]).result() == {
                b"/clips/boat.mp4": CLIP._replace(path=b"/clips/boat.mp4")
            }
            assert (journal.fact(A).result(), journal.fact(B).result()) == ("", "whole")
        assert said == [f"{path}: some entries are damaged; what they held is asked again"]


def zeros(raw: bytearray, start: int, end: int) -> None:
    raw[start:end] = bytes(end - start)


FILE_HARMS = {
    "no header": lambda raw: zeros(raw, 0, 16),
    "no first page": lambda raw: zeros(raw, 0, 4096),
    "zeros inside": lambda raw: zeros(raw, 4096 * 5, 4096 * 7),
    "zeros alone": lambda raw: zeros(raw, 0, len(raw)),
    "cut": lambda raw: raw.__delitem__(slice(4096 * 5 + 100, None)),
    "a text": lambda raw: raw.__setitem__(slice(None), b"captions\n" * 1000),
    "another version": lambda raw: raw.__setitem__(63, raw[63] ^ 2),
    "another program": lambda raw: raw.__setitem__(68, raw[68] ^ 1),
    "another schema format": lambda raw: raw.__setitem__(47, raw[47] ^ 1),
    "another table": lambda raw: raw.__setitem__(raw.index(b"CREATE TABLE answers") + 13, ord("b")),
    "another column": lambda raw: raw.__setitem__(raw.index(b"checksum INTEGER, PRIMARY"), ord("k")),
    "a column that is no UTF-8": lambda raw: raw.__setitem__(raw.index(b"candidate INTEGER"), 0xE3),
    "another version in the schema": lambda raw: raw.__setitem__(raw.index(b"version 1") + 8, ord("3")),
}


class TestFiles:
    @pytest.mark.parametrize("harm", FILE_HARMS)
    def test_it_is_set_aside_with_its_name_said(self, path, said, harm):
        written(path, *(Entry(key(number), 0, {"text": "x" * 300}) for number in range(200)))
        raw = bytearray(path.read_bytes())
        FILE_HARMS[harm](raw)
        path.write_bytes(raw)
        with pytest.raises(Damaged):
            Store(path)
        store = open_store(path)
        assert store.empty()
        store.write([Entry(A, 0, {"text": "new"})])
        store.close()
        (old,) = aside(path)
        assert old.read_bytes() == raw
        (message,) = said
        assert message.startswith(f"the journal {path} is damaged (")
        assert message.endswith(f"); it is set aside as {old.name}, and what it held is asked again")
        assert message.isprintable()
        again = open_store(path)
        assert again.answers([A]) == {A: {0: {"text": "new"}}}
        again.close()

    def test_a_header_that_forbids_writing(self, path, said):
        """It can be read, and is set aside when something is to be written."""
        written(path, Entry(A, 0, {"text": "old"}))
        raw = bytearray(path.read_bytes())
        raw[18] = 3
        path.write_bytes(raw)
        with Journal(path) as journal:
            journal.append([Entry(B, 0, {"text": "new"})])
        with Journal(path) as journal:
            assert journal.get_entries([A, B]).result() == {B: {0: {"text": "new"}}}
        assert [old.read_bytes() for old in aside(path)] == [raw]
        assert len(said) == 1

    def test_what_belongs_to_it_goes_with_it(self, path, said):
        """Whatever is left behind would be taken for the new file's."""
        path.parent.mkdir()
        parts = ("", "-wal", "-shm", "-journal")
        for part in parts:
            path.with_name(path.name + part).write_text(f"old{part}")
        set_aside(path, Damaged("for a reason", file_id(path)))
        (old,) = aside(path)
        assert [old.with_name(old.name + part).read_text() for part in parts] == [f"old{part}" for part in parts]
        assert len(list(path.parent.iterdir())) == 4
        assert said == [
            f"the journal {path} is damaged (for a reason); it is set aside as {old.name}, and what it held is asked again"
        ]

    def test_behind_a_link(self, path, tmp_path, said):
        real = tmp_path / "elsewhere" / "answers.db"
        written(real, Entry(A, 0, {"text": "old"}))
        path.parent.mkdir()
        path.symlink_to(real)
        real.write_bytes(bytes(100) + real.read_bytes()[100:])
        with Journal(path) as journal:
            journal.append([Entry(B, 0, {"text": "new"})])
        (old,) = aside(real)
        assert said[0].endswith(f"it is set aside as {old}, and what it held is asked again")
        assert path.is_symlink()
        store = Store(real)
        assert store.answers([A, B]) == {B: {0: {"text": "new"}}}
        store.close()

    def test_who_may_not_move_it_leaves_it_and_says_so(self, path, said):
        written(path, Entry(A, 0, {"text": "old"}))
        raw = bytes(100) + path.read_bytes()[100:]
        path.write_bytes(raw)
        with pytest.raises(
            EnvironmentFailure, match=r"journal\.sqlite is damaged \(file is not a database\); a run sets it aside"
        ):
            Journal(path, may_quarantine=False)
        assert (path.read_bytes(), aside(path), said) == (raw, [], [])

    def test_a_database_of_somebody_else_is_read_only(self, path):
        path.parent.mkdir()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE answers (precious)")
            other.execute("PRAGMA user_version=1")
        before = path.read_bytes()
        with pytest.raises(DataError, match="is a database of something else: give another path as journal"):
            open_store(path)
        assert path.read_bytes() == before


class TestWhoseFile:
    """What its bytes tell, where nobody else can."""

    @pytest.mark.parametrize("harm", [name for name in FILE_HARMS if name not in ("zeros alone", "a text")])
    def test_a_damaged_journal_is_one(self, path, harm):
        written(path, *(Entry(key(number), 0, {"text": "x" * 300}) for number in range(200)))
        raw = bytearray(path.read_bytes())
        FILE_HARMS[harm](raw)
        path.write_bytes(raw)
        assert is_journal(path)

    def test_facts_and_time_do_not_hide_the_mark(self, path):
        store = Store(path)
        names = [f"{number:02x}" * 16 for number in range(1, 200)]
        for name in names:
            store.write([Fact(name, "x")])
        store.write([Fact(name, "y" * 100) for name in reversed(names)])
        store._database.execute("VACUUM")
        store.close()
        path.write_bytes(bytes(4096) + path.read_bytes()[4096:])
        assert is_journal(path)

    def test_a_journal_whose_pages_are_in_its_log_is_one(self, path):
        store = Store(path)
        store.write([Fact(A, "x")])
        copy = path.with_name("copy.sqlite")
        shutil.copy(path.with_name("journal.sqlite-wal"), copy.with_name("copy.sqlite-wal"))
        store.close()
        copy.write_bytes(bytes(8192))
        assert is_journal(copy)
        copy.with_name("copy.sqlite-wal").unlink()
        assert not is_journal(copy)

    def test_other_files_are_none(self, path, tmp_path):
        other = sqlite3.connect(tmp_path / "other.db")
        other.execute("CREATE TABLE answers (key BLOB, candidate INTEGER, entry TEXT, checksum INTEGER)")
        other.execute("PRAGMA user_version=1")
        other.close()
        (tmp_path / "zeros").write_bytes(bytes(100_000))
        (tmp_path / "empty").touch()
        (tmp_path / "noise").write_bytes(random.Random(0).randbytes(100_000))
        sources = Path(__file__).parents[3].glob("juicecap/vlm/journal/*.py")
        for file in (*(tmp_path / name for name in ("other.db", "zeros", "empty", "noise")), Path(__file__), *sources):
            assert not is_journal(file), file


class Flip(NamedTuple):
    suffix: str
    place: int
    bit: int


class TestAnyByte:
    """Whatever is flipped, the journal opens, gives out nothing wrong, and keeps what is written from then on."""

    COUNT = 120

    @pytest.fixture
    def quick(self, tmp_path) -> Iterator[Path]:
        """A folder in memory, if there is one: a thousand journals are made."""
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
            yield Path(folder)

    @pytest.fixture
    def whole(self, tmp_path) -> dict[str, bytes]:
        """A journal that was closed, and one that was killed with transactions in its log."""
        path = tmp_path / "journal.sqlite"
        store = Store(path)
        for start in range(0, self.COUNT, 30):
            store.write([Entry(key(number), 0, {"text": f"text {number} " + "x" * 60}) for number in range(start, start + 30)])
        store.write([CLIP, Fact(A, "frames")])
        parts = {"killed": path.read_bytes(), "killed-wal": path.with_name("journal.sqlite-wal").read_bytes()}
        store.close()
        return {"closed": path.read_bytes(), **parts}

    def survives(self, folder: Path, parts: dict[str, bytes], *flips: Flip) -> bool:
        """Whether the file lived; what it held and what it takes is checked."""
        path = folder / "journal.sqlite"
        for old in folder.iterdir():
            old.unlink()
        for suffix, content in parts.items():
            raw = bytearray(content)
            for flip in flips:
                if flip.suffix == suffix:
                    raw[flip.place] ^= 1 << flip.bit
            path.with_name(path.name + suffix).write_bytes(raw)
        new = [Entry(key(number), 1, {"text": "new"}) for number in range(10)]
        with Journal(path) as journal:
            found = journal.get_entries([key(number) for number in range(self.COUNT)]).result()
            for name, candidates in found.items():
                assert candidates == {0: {"text": f"text {int(name, 16)} " + "x" * 60}}, flips
            assert journal.get_file_digests([CLIP.path]).result() in ({}, {CLIP.path: CLIP}), flips
            assert journal.fact(A).result() in ("", "frames"), flips
            journal.append(new)
        with Journal(path) as journal:
            assert [each.get(1) for each in journal.get_entries([key(number) for number in range(10)]).result().values()] == [
                {"text": "new"}
            ] * 10, flips
        lived = not aside(path)
        if lived and parts.keys() == {""} and all(flip.place >= 4096 for flip in flips):
            assert len(found) >= self.COUNT - 40, flips  # at most a page of them
        return lived

    def test_of_the_header(self, quick, whole):
        lived = [self.survives(quick, {"": whole["closed"]}, Flip("", place, place * 5 % 8)) for place in range(100)]
        assert 30 < sum(lived) < 70

    def test_of_the_first_page(self, quick, whole):
        places = [place for place in range(100, 4096) if whole["closed"][place]]
        chance = random.Random(1)
        for place in chance.sample(places, 100):
            self.survives(quick, {"": whole["closed"]}, Flip("", place, chance.randrange(8)))

    def test_of_the_other_pages(self, quick, whole):
        raw = whole["closed"]
        places = [place for place in range(4096, len(raw)) if raw[place]]
        chance = random.Random(2)
        lived = [self.survives(quick, {"": raw}, Flip("", place, chance.randrange(8))) for place in chance.sample(places, 200)]
        assert sum(lived) > 150

    def test_of_the_log(self, quick, whole):
        parts = {"": whole["killed"], "-wal": whole["killed-wal"]}
        chance = random.Random(3)
        for _ in range(60):
            self.survives(quick, parts, Flip("-wal", chance.randrange(len(parts["-wal"])), chance.randrange(8)))

    def test_of_several_places(self, quick, whole):
        raw = whole["closed"]
        chance = random.Random(4)
        for most in (4096, len(raw)):
            for _ in range(40):
                self.survives(quick, {"": raw}, *(Flip("", chance.randrange(most), chance.randrange(8)) for _ in range(8)))


RUN = """
import sys
from pathlib import Path
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.store import Entry
number, path = int(sys.argv[1]), Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
with Journal(path) as journal:
    for each in range(20):
        journal.append([Entry(f"{number * 100 + each:032x}", 0, {"text": str(number)})])
        journal.flush()
"""


class TestSeveralRuns:
    def damage(self, path: Path) -> None:
        """While others have it open."""
        raw = bytearray(path.read_bytes())
        zeros(raw, 0, 100)
        raw[4096 : 4096 * 4] = b"\xff" * 4096 * 3
        with path.open("r+b") as file:
            file.write(raw)

    def filled(self, path: Path) -> None:
        written(path, *(Entry(key(10_000 + number), 0, {"text": "x" * 300}) for number in range(300)))

    def test_a_run_that_has_it_open_goes_on_in_the_new_file(self, path, said):
        self.filled(path)
        with Journal(path) as first:
            assert len(first.get_entries([key(10_000 + number) for number in range(300)]).result()) == 300
            self.damage(path)
            with Journal(path) as second:
                second.append([Entry(key(1), 0, {"text": "of the second"})])
                second.flush()
                first.append([Entry(key(2), 0, {"text": "of the first"})])
                first.flush()
                second.append([Entry(key(3), 0, {"text": "of the second"})])
                second.flush()
                assert list(first.get_entries([key(1), key(2), key(3)]).result()) == [key(1), key(2), key(3)]
                first.append([Entry(key(4), 0, {"text": "of the first"})])
        assert len(aside(path)) == len(said) == 1
        with Journal(path) as third:
            found = third.get_entries([key(number) for number in range(6)]).result()
        assert {int(name, 16): entries[0]["text"] for name, entries in found.items()} == {
            1: "of the second",
            2: "of the first",
            3: "of the second",
            4: "of the first",
        }

    def test_who_finds_the_same_damage_later_leaves_the_new_file_alone(self, path, said):
        """Both have found the file damaged before one of them sets it aside."""
        self.filled(path)
        first, second = Journal(path), Journal(path)
        self.damage(path)
        for journal in (first, second):
            journal._store._database.execute("PRAGMA cache_size=0")
            journal._store._database.execute("PRAGMA shrink_memory")
        with pytest.raises(Damaged) as of_the_first:
            first._store.answers([key(1)])
        with pytest.raises(Damaged) as of_the_second:
            second._store.answers([key(1)])
        first._reopen(of_the_first.value)
        first.append([Entry(key(1), 0, {"text": "of the first"})])
        first.flush()
        second._reopen(of_the_second.value)
        assert second.get_entries([key(1)]).result() == {key(1): {0: {"text": "of the first"}}}
        first.close()
        second.close()
        assert len(aside(path)) == len(said) == 1

    def test_runs_that_start_together_on_a_damaged_file(self, path):
        for _ in range(3):
            self.filled(path)
            self.damage(path)
            command = [sys.executable, "-c", RUN]
            runs = [
                subprocess.Popen([*command, str(number), path], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
                for number in range(4)
            ]
            for run in runs:
                assert run.stdout.readline() == "ready\n"
            for run in runs:
                run.stdin.write("\n")
                run.stdin.flush()
            said = [run.communicate()[1] for run in runs]
            assert [run.returncode for run in runs] == [0] * 4, said
            assert sum("is set aside as" in each for each in said) == len(aside(path)) == 1
            with Journal(path) as journal:
                found = journal.get_entries([key(number * 100 + each) for number in range(4) for each in range(20)]).result()
            assert [entries[0]["text"] for entries in found.values()] == [number for number in "0123" for _ in range(20)]
            shutil.rmtree(path.parent)

    def test_a_file_that_was_deleted_is_made_again(self, path):
        with Journal(path) as journal:
            journal.append([Entry(key(1), 0, {"text": "old"})])
            journal.flush()
            path.unlink()
            journal.append([Entry(key(2), 0, {"text": "new"})])
            journal.flush()
            assert journal.get_entries([key(1), key(2)]).result() == {key(2): {0: {"text": "new"}}}
        assert path.exists()
