"""The journal's file: transactions, other people's databases, two runs at once, full disks."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from juicecap.errors import DataError, EnvironmentFailure
from juicecap.vlm.journal import file_signature
from juicecap.vlm.journal import store as store_module
from juicecap.vlm.journal.file_signature import is_journal
from juicecap.vlm.journal.filesystem import on_network
from juicecap.vlm.journal.store import Entry, Fact, FileDigest, Store, open_store

from .conftest import written

A, B = "aa" * 16, "bb" * 16


def entry(key: str = A, candidate: int = 0, text: str = "a caption") -> Entry:
    return Entry(key, candidate, {"text": text})


def test_what_was_written_is_there_when_it_is_opened_again(path):
    seen = FileDigest(b"/clips/\xff.mp4", 2**64 - 1, 2, 3, 4, 5, "digest")  # more than SQLite's own integers
    written(path, entry(), entry(candidate=2, text="Ünïcödé 字幕 \0 \ud800"), entry(B), seen, Fact(A, "frames"))
    store = Store(path)
    assert store.answers([A, "cc" * 16]) == {A: {0: {"text": "a caption"}, 2: {"text": "Ünïcödé 字幕 \0 \ud800"}}}
    assert store.file_digests([b"/clips/\xff.mp4", b"/other"]) == {b"/clips/\xff.mp4": seen}
    assert (store.fact(A), store.fact(B), store.empty()) == ("frames", None, False)
    store.close()


def test_many_keys_at_once(path):
    keys = [f"{number:032x}" for number in range(1300)]
    written(path, *(entry(key, text=key) for key in keys))
    store = Store(path)
    assert store.answers(keys) == {key: {0: {"text": key}} for key in keys}
    store.close()


def test_an_entry_is_replaced(path):
    written(path, entry(text="old"), entry(text="new"))
    store = Store(path)
    assert store.answers([A]) == {A: {0: {"text": "new"}}}
    store.close()


def test_a_transaction_is_there_whole_or_not_at_all(path):
    store = Store(path)
    with pytest.raises(ValueError, match="hexadecimal"):
        store.write([entry(), entry("no key")])
    assert store.empty()
    store.write([entry(B)])
    assert store.answers([A, B]) == {B: {0: {"text": "a caption"}}}
    store.close()


def test_an_empty_file_becomes_a_journal(path):
    path.parent.mkdir()
    path.touch()
    written(path, entry())
    assert path.stat().st_size


def test_a_database_of_somebody_else_is_left_alone(path):
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE precious (x)")
    other.commit()
    other.close()
    with pytest.raises(DataError, match="is a database of something else: give another path as journal"):
        open_store(path)
    assert sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]


def test_a_journal_of_a_later_version_is_left_alone(path, monkeypatch):
    later = {name: statement.replace("version 1", "version 99") for name, statement in file_signature.TABLES.items()}
    with monkeypatch.context() as then:
        then.setattr(store_module, "VERSION", 99)
        then.setattr(store_module, "TABLES", later)
        written(path, entry())
    with pytest.raises(DataError, match="is the journal of another version of juicecap: give another path as journal"):
        open_store(path)
    assert is_journal(path)
    with monkeypatch.context() as then:
        then.setattr(store_module, "VERSION", 99)
        then.setattr(store_module, "TABLES", later)
        store = open_store(path)
        assert store.answers([A]) == {A: {0: {"text": "a caption"}}}
        store.close()


def test_a_journal_with_tables_and_views_of_its_owner_is_one(path):
    written(path, entry())
    with sqlite3.connect(path) as database:
        database.execute("CREATE VIEW texts AS SELECT entry FROM answers")
    store = open_store(path)
    assert store.answers([A]) == {A: {0: {"text": "a caption"}}}
    store.close()


def test_a_path_that_cannot_be_opened_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "journal.sqlite"):
        with pytest.raises(EnvironmentFailure, match=r"cannot be opened \(.+\); running again resumes"):
            open_store(path)


def test_it_is_on_disk_when_write_returns(path):
    """Another process reads it while this one has the file open."""
    store = Store(path)
    store.write([entry()])
    code = f"import sqlite3; print(sqlite3.connect({str(path)!r}).execute('SELECT entry FROM answers').fetchall())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == '[(\'{"text":"a caption"}\',)]\n'
    assert store._database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._database.execute("PRAGMA journal_mode").fetchone() == (b"wal",)
    store.close()


def test_two_may_write_at_once(path):
    first, second = Store(path), Store(path)
    first.write([entry()])
    second.write([entry(B)])
    assert first.answers([A, B]) == second.answers([A, B]) == {key: {0: {"text": "a caption"}} for key in (A, B)}
    first.close()
    second.close()


def test_on_a_network_file_system_the_first_has_it_to_itself(path, monkeypatch):
    monkeypatch.setattr(store_module, "on_network", lambda path: True)
    monkeypatch.setattr(store_module, "PATIENCE", 0.2)
    first = Store(path)
    first.write([entry()])
    assert not path.with_name(f"{path.name}-shm").exists()  # memory that two machines could not share
    with pytest.raises(EnvironmentFailure, match="another run holds it; on a network file system only one run at a time can"):
        Store(path)
    assert first.answers([A]) == {A: {0: {"text": "a caption"}}}
    first.close()
    second = Store(path)
    assert second.answers([A]) == {A: {0: {"text": "a caption"}}}
    second.close()


def test_a_writer_that_holds_it_for_too_long_is_a_sentence(path, monkeypatch):
    monkeypatch.setattr(store_module, "PATIENCE", 0.1)
    store, other = Store(path), Store(path)
    other._database.execute("BEGIN IMMEDIATE")
    with pytest.raises(EnvironmentFailure, match="cannot be written: another run holds it"):
        store.write([entry()])
    other._database.execute("ROLLBACK")
    store.write([entry()])
    store.close()
    other.close()


def test_a_full_disk_is_a_sentence(path):
    """SQLite is told that the file may not grow, which it reports as it does a full disk."""
    store = Store(path)
    store._database.execute(f"PRAGMA max_page_count={store._pragma('page_count')}")
    with pytest.raises(EnvironmentFailure) as caught:
        store.write([entry(f"{number:032x}", text="x" * 3000) for number in range(50)])
    assert str(caught.value) == f"{path} cannot be written: no space left; free some space and run again, which resumes"
    assert store.empty()
    store.close()


@pytest.fixture
def small_disk(disk_of: Callable[[str], Path]) -> Path:
    """A file system of 64 kilobytes."""
    return disk_of("64k")


@pytest.mark.parametrize("left", [0, 4, 16, 28, 40])
def test_a_disk_on_which_it_cannot_be_opened_is_full(small_disk, left):
    """SQLite itself calls it an I/O error, or says that the file cannot be opened."""
    path = small_disk / "journal.sqlite"
    (small_disk / "other").write_bytes(bytes((64 - left) * 1024))
    with pytest.raises(EnvironmentFailure) as caught:
        open_store(path)
    assert str(caught.value) == f"{path} cannot be opened: no space left; free some space and run again, which resumes"
    (small_disk / "other").unlink()
    with pytest.raises(EnvironmentFailure, match=r"cannot be written: no space left; free some space"):
        open_store(path).write([entry(text="x" * 100_000)])


def test_what_the_disk_has_room_for_is_another_error(path, monkeypatch):
    store = Store(path)
    failing = sqlite3.OperationalError("disk I/O error")
    failing.sqlite_errorcode = sqlite3.SQLITE_IOERR
    monkeypatch.setattr(store, "_insert", lambda record: (_ for _ in ()).throw(failing))
    with pytest.raises(EnvironmentFailure, match=r"cannot be written \(disk I/O error\); running again resumes"):
        store.write([entry()])
    store.close()


def test_a_file_that_may_not_grow_any_more_is_a_sentence(path):
    """For real, in a process whose files may not be larger than so many bytes."""
    code = f"""
import resource, signal
from pathlib import Path
from juicecap.errors import EnvironmentFailure
from juicecap.vlm.journal.store import Entry, Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(Path({str(path)!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    for number in range(1000):
        store.write([Entry(f"{{number:032x}}", 0, {{"text": "x" * 3000}})])
except EnvironmentFailure as error:
    print(number, error)
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    number, _, sentence = done.stdout.partition(" ")
    assert sentence.startswith(f"{path} cannot be written")
    store = open_store(path)
    found = store.answers([f"{each:032x}" for each in range(1000)])
    assert [key for key, entries in found.items() if entries[0]["text"] == "x" * 3000] == sorted(found)
    assert len(found) == int(number)
    store.close()


@pytest.mark.parametrize(
    ("path", "network"),
    [("/", False), ("/data/x", True), ("/data/fast/x", False), ("/database/x", False), ("/my mount/x", True), ("/fuse/x", True)],
)
def test_network_file_systems_are_known_by_the_longest_mount(tmp_path, path, network):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "disk / ext4 rw 0 0\nhost:/x /data nfs4 rw 0 0\ndisk2 /data/fast xfs rw 0 0\n//host/s /my\\040mount cifs rw 0 0\n"
        "rclone /fuse fuse.rclone rw 0 0\n"
    )
    assert on_network(Path(path), mounts) is network
    assert on_network(Path(path), tmp_path / "none") is (sys.platform == "linux")  # which tells, unless it hides /proc


def test_a_mount_whose_name_breaks_lines_is_read_as_one(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text("disk / ext4 rw 0 0\nodd\n\nhost:/x /da\x1cta\u2028x\x85y nfs4 rw 0 0\n", encoding="utf-8")
    assert on_network(Path("/da\x1cta\u2028x\x85y/z"), mounts) is True
    assert on_network(Path("/da"), mounts) is False
