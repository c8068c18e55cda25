"""Measurements: made once, by content or by the state of files, journalled and replayed."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from make_clips import all_frames, write_clip

from juicecap.file_state import TICK
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.tasks.catalog import CUT, HEADER
from juicecap.media.tasks.task import Task, task_in_file
from juicecap.media.workers.pool import DecodePool
from juicecap.media.workers.worker_process import WorkerProcess
from juicecap.vlm.base import Limits, Part
from juicecap.vlm.journal import Journal
from juicecap.vlm.measurement import Measurement
from juicecap.vlm.pipeline import core
from juicecap.vlm.pipeline.lookup.digests import Digests, DigestThreads

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("closed")]

TASKS = """
def size(medium, *, factor=1):
    import os
    return {"bytes": factor * os.stat(medium.path).st_size}

def fails(medium):
    raise ValueError(f"no good in {medium.path}")

def lasts(medium):
    return medium.info().duration
"""


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return str(write_clip(tmp_path / "clip.mp4", 40))


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Task]:
    file = tmp_path / "my_tasks.py"
    file.write_text(TASKS)
    return lambda function, **options: task_in_file(file, function, **options)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The tasks that workers do from now on, with their paths."""
    done: list[tuple[str, str]] = []
    real = WorkerProcess.ask

    def ask(self: WorkerProcess, job: dict[str, Any]) -> Any:
        every = job.get("every", {})
        done.extend((({**every, **each})["function"].rpartition(":")[2], each["path"]) for each in job.get("jobs", [job]))
        return real(self, job)

    monkeypatch.setattr(WorkerProcess, "ask", ask)
    return done


def header(path: str) -> Measurement:
    return Measurement.of_header(path, 24.0)


def settled(*paths: str) -> None:
    """Wait until the files' times are old enough to tell whether they change."""
    latest = max(os.stat(path).st_ctime_ns for path in paths)
    time.sleep(max(0.0, (latest + TICK - time.time_ns()) / 1e9) + 0.01)


def test_a_header_is_read_once(clip: str, made: list[tuple[str, str]]) -> None:
    outcomes = core.ask([header(clip), header(clip), header(f"{clip}#t=1,2"), header(clip)])
    assert [outcome.value["duration"] for outcome in outcomes] == [4.0, 4.0, 1.0, 4.0]
    assert made == [("header", clip)] * 2  # that of the part is another one


def test_another_window_reads_it_again_only_if_the_file_may_have_changed(clip: str, made: list[tuple[str, str]]) -> None:
    core.ask([header(clip)])
    core.ask([header(clip)])
    assert len(made) == 2
    settled(clip)
    core.ask([header(clip)])
    core.ask([header(clip)])
    assert len(made) == 3
    write_clip(Path(clip), 20)
    (outcome,) = core.ask([header(clip)])
    assert (outcome.value["duration"], len(made)) == (2.0, 4)


def test_the_journal_knows_headers_by_state_and_others_by_content(
    clip: str, tmp_path: Path, task: Callable[..., Task], made: list[tuple[str, str]]
) -> None:
    settled(clip)
    asks = [header(clip), Measurement.of(task("size"), Part("video", clip), factor=2)]
    with Journal(tmp_path / "journal.sqlite") as journal:
        first = core.ask(asks, journal=journal)
    core.close()
    assert sorted(name for name, _ in made) == ["header", "size"]
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert core.ask(asks, journal=journal) == first
        assert len(made) == 2
        moved = str(tmp_path / "moved.mp4")
        os.rename(clip, moved)
        asks = [header(moved), Measurement.of(task("size"), Part("video", moved), factor=2)]
        assert core.ask(asks, journal=journal) == first
        assert made[2:] == [("header", moved)]
        core.ask([Measurement.of(task("size"), Part("video", moved), factor=3)], journal=journal)
        core.ask([Measurement.of(task("size", version=2), Part("video", moved), factor=2)], journal=journal)
        assert len(made) == 5


def test_a_failure_is_kept_and_tried_again_on_demand(
    clip: str, tmp_path: Path, task: Callable[..., Task], made: list[tuple[str, str]]
) -> None:
    ask = Measurement.of(task("fails"), Part("video", clip))
    for attempt, retry in enumerate((False, False, True, False)):
        with Journal(tmp_path / "journal.sqlite", retry_rejected=retry) as journal:
            (outcome,) = core.ask([ask], journal=journal)
        assert outcome.failure
        assert outcome.failure.code == "TASK_FAILED"
        assert outcome.failure.message == f"{clip}: fails fails with ValueError: no good in {clip}"
        assert len(made) == (1, 1, 2, 2)[attempt]
    moved = str(tmp_path / "moved.mp4")
    os.rename(clip, moved)
    with Journal(tmp_path / "journal.sqlite") as journal:
        (outcome,) = core.ask([Measurement.of(task("fails"), Part("video", moved))], journal=journal)
    assert outcome.failure
    assert outcome.failure.message == f"{moved}: fails fails with ValueError: no good in {moved}"


@pytest.mark.parametrize("content", ['{"value":{"duration":"long"},"seen":5}', '{"value":7}', "[]", '{"value":{},"seen":-1}'])
def test_an_entry_of_another_shape_is_not_believed(
    clip: str, tmp_path: Path, made: list[tuple[str, str]], content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(clip)
    with Journal(tmp_path / "journal.sqlite") as journal:
        (first,) = core.ask([header(clip)], journal=journal)
    core.close()
    from juicecap.vlm.journal.store import _checksum

    with sqlite3.connect(tmp_path / "journal.sqlite") as database:
        ((key,),) = database.execute("SELECT key FROM answers").fetchall()
        database.execute("UPDATE answers SET entry = ?, checksum = ?", (content, _checksum(key, 0, content.encode())))
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert core.ask([header(clip)], journal=journal) == [first]
    assert len(made) == 2


def test_media_that_cannot_be_read(tmp_path: Path, clip: str, task: Callable[..., Task], made: list[tuple[str, str]]) -> None:
    inside = str(tmp_path / "inside")
    os.mkdir(inside)
    (tmp_path / "text.mp4").write_text("no video")
    asks = [header(str(tmp_path / "gone.mp4")), header("https://nobody.invalid/a.mp4"), header(str(tmp_path / "text.mp4"))]
    failures = [outcome.failure and outcome.failure.code for outcome in core.ask(asks)]
    assert failures == ["FILE_NOT_FOUND", "REMOTE_NOT_ALLOWED", "UNREADABLE"]
    assert made == [("header", str(tmp_path / "text.mp4"))]
    limits = Limits(media=MediaLimits(root=os.path.realpath(inside)))
    for ask in (header(clip), Measurement.of(task("size"), Part("video", clip))):
        (outcome,) = core.ask([ask], limits)
        assert outcome.failure
        assert outcome.failure.code == "OUTSIDE_MEDIA_ROOT"


def test_limits_decide_anew_what_was_measured_within_others(clip: str, made: list[tuple[str, str]]) -> None:
    assert core.ask([header(clip)])[0].value["width"] == 96
    (outcome,) = core.ask([header(clip)], Limits(media=MediaLimits(max_pixels=100)))
    assert outcome.failure
    assert outcome.failure.code == "TOO_LARGE"


def test_the_media_root_is_no_such_limit(
    clip: str, tmp_path: Path, task: Callable[..., Task], made: list[tuple[str, str]]
) -> None:
    (tmp_path / "there").mkdir()
    moved = str(shutil.copy(clip, tmp_path / "there"))
    with Journal(tmp_path / "journal.sqlite") as journal:
        for path in (clip, moved):
            limits = Limits(media=MediaLimits(root=os.path.realpath(os.path.dirname(path))))
            (outcome,) = core.ask([Measurement.of(task("size"), Part("video", path))], limits, journal)
            assert outcome.value == {"bytes": os.path.getsize(clip)}
    assert made == [("size", clip)]


def test_the_limits_of_a_costly_task_grow_with_the_duration(
    clip: str, task: Callable[..., Task], made: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    answer = DecodePool._answer

    async def spied(self: DecodePool, job: dict[str, Any], *rest: Any, more_seconds: float = 0.0, **options: Any) -> Any:
        given.append(more_seconds)
        return await answer(self, job, *rest, more_seconds=more_seconds, **options)

    monkeypatch.setattr(DecodePool, "_answer", spied)
    (outcome,) = core.ask([Measurement.of(task("lasts", cost=0.5), Part("video", f"{clip}#t=1,3"))])
    assert outcome.value == 2.0
    assert made == [("header", clip), ("lasts", clip)]
    assert given == [1.0]


class TestWritten:
    def test_a_clip_is_written_once_and_known_by_what_it_was_made_of(
        self, clip: str, tmp_path: Path, made: list[tuple[str, str]]
    ) -> None:
        folder, ask = tmp_path / "media", Measurement.of(CUT, Part("video", f"{clip}#t=1,3"))
        with Journal(tmp_path / "journal.sqlite") as journal:
            (first,) = core.ask([ask], journal=journal, media_folder=folder)
            (again,) = core.ask([ask], journal=journal, media_folder=folder)
        assert first == again
        assert [name for name, _ in made] == ["header", "cut"]
        (file,) = folder.iterdir()
        assert first.value == {"path": str(file), "seconds": 2.0, "bytes": file.stat().st_size, "copied": False}
        assert all_frames(file)[0] == list(range(10, 30))
        with Journal(tmp_path / "journal.sqlite") as journal:
            digests = Digests(DigestThreads(), DEFAULT_RULES, journal)
            known = asyncio.run(digests.recalled([Measurement(HEADER, Part("video", str(file)))]))
        assert known[str(file)].digest == file.stem

    @pytest.mark.parametrize("harm", ["gone", "cut short"])
    def test_one_that_is_not_whole_is_written_again(
        self, clip: str, tmp_path: Path, made: list[tuple[str, str]], harm: str
    ) -> None:
        folder, ask = tmp_path / "media", Measurement.of(CUT, Part("video", f"{clip}#t=1,3"))
        with Journal(tmp_path / "journal.sqlite") as journal:
            (first,) = core.ask([ask], journal=journal, media_folder=folder)
            file = Path(first.value["path"])
            content = file.read_bytes()
            if harm == "gone":
                file.unlink()
            else:
                file.write_bytes(content[:100])
            assert core.ask([ask], journal=journal, media_folder=folder) == [first]
        assert [name for name, _ in made].count("cut") == 2
        assert file.read_bytes() == content

    def test_a_task_that_fails_leaves_nothing(self, clip: str, tmp_path: Path) -> None:
        ask = Measurement.of(CUT, Part("video", f"{clip}#t=1,3"), nonsense=1)
        (outcome,) = core.ask([ask], media_folder=tmp_path / "media")
        assert outcome.failure
        assert outcome.failure.code == "DECODER_CRASHED"
        assert list((tmp_path / "media").iterdir()) == []

    def test_without_a_folder_nothing_is_written(self, clip: str) -> None:
        (outcome,) = core.ask([Measurement.of(CUT, Part("video", clip))])
        assert outcome.failure
        assert outcome.failure.code == "NO_RUN_FOLDER"
