"""Tasks in workers: their values, their limits, and what becomes of those that fail."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from make_clips import write_clip

from juicecap.errors import DataError, MediaError
from juicecap.fragment import Span
from juicecap.media.tasks import catalog
from juicecap.media.tasks.catalog import HEADER, is_header, is_size
from juicecap.media.tasks.task import Task, Work, task_in_file
from juicecap.media.video.probe import VideoInfo, probe
from juicecap.media.workers.pool import DecodePool

pytestmark = pytest.mark.process

TASKS = """
import math, os, time

def brightness(medium, *, frames=2):
    from juicecap.media.sampling import FrameSampling
    return float(medium.frames(FrameSampling(num_frames=frames)).pixels.mean())

def fails(medium):
    raise ValueError("no good")

def crashes(medium):
    os.abort()

def hangs(medium):
    while True:
        pass

def loops(medium):
    loop = []
    loop.append(loop)
    return loop

def gives(medium, *, what):
    return {"set": {1}, "nan": math.nan, "bytes": b"x", "large": "x" * 2**24}[what]

def burns(medium):
    began = time.process_time()
    while time.process_time() - began < 0.6:
        pass
    return "done"
"""


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return str(write_clip(tmp_path / "clip.mp4", 40))


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Task]:
    file = tmp_path / "my_tasks.py"
    file.write_text(TASKS)

    def found(function: str, **options: Any) -> Task:
        return task_in_file(file, function, **options)

    return found


def work(path: str, params: dict[str, Any] | None = None, **film: Any) -> Work:
    return Work(kind="video", path=path, params=params or {}, **film)


def run(work: Callable[[DecodePool], Awaitable[Any]], **limits: float) -> Any:
    async def main() -> Any:
        pool = DecodePool(1, **limits)  # type: ignore[arg-type]
        try:
            return await asyncio.wait_for(work(pool), 60)
        finally:
            await pool.close()

    return asyncio.run(main())


def failure(task: Task, clip: str, params: dict[str, Any] | None = None, **limits: float) -> tuple[str, str, int]:
    with pytest.raises(MediaError) as caught:
        run(lambda pool: pool.measure(task, work(clip, params)), **limits)
    return caught.value.code, caught.value.message, caught.value.attempts


def test_the_header_is_that_of_a_probe(clip: str) -> None:
    value = run(lambda pool: pool.measure(HEADER, work(clip)))
    assert value == asdict(probe(clip))
    assert is_header(value)
    part = run(lambda pool: pool.measure(HEADER, work(clip, span=Span(start=1.0, end=2.5))))
    assert (part["duration"], part["frames"]) == (1.5, None)


def test_a_header_has_the_fields_of_a_video_info() -> None:
    kinds = {name: set(typing.get_args(kind) or (kind,)) for name, kind in typing.get_type_hints(VideoInfo).items()}
    assert {name: set(each) - ({int} if float in each else set()) for name, each in catalog._HEADER.items()} == kinds


def test_what_has_another_shape_is_no_header_and_no_size(clip: str) -> None:
    header = asdict(probe(clip))
    wrong = ({}, [], None, header | {"duration": "4"}, header | {"width": True}, header | {"mirrored": 0}, header | {"more": 1})
    assert not any(map(is_header, wrong))
    assert [is_size(each) for each in ([4, 3], [4], [4, 0], [4.0, 3], {"width": 4})] == [True, False, False, False, False]


def test_a_task_of_a_user_gets_frames_and_parameters(clip: str, task: Callable[..., Task]) -> None:
    value = run(lambda pool: pool.measure(task("brightness"), work(clip, {"frames": 3})))
    assert 20 < value < 235


@pytest.mark.parametrize(
    ("function", "params", "told"),
    [
        ("fails", {}, ("TASK_FAILED", "{}: fails fails with ValueError: no good", 1)),
        ("gone", {}, ("TASK_FAILED", "{}: gone fails with AttributeError: ", 1)),
        ("crashes", {}, ("DECODER_CRASHED", "{}: the decoder crashed (signal SIGABRT", 2)),
        ("loops", {}, ("BAD_MEASUREMENT", "{}: loops returns [[...]], which is no JSON value", 1)),
        ("gives", {"what": "set"}, ("BAD_MEASUREMENT", "{}: gives returns {{1}}, which is no JSON value", 1)),
        ("gives", {"what": "nan"}, ("BAD_MEASUREMENT", "{}: gives returns nan, which is no JSON value", 1)),
        ("gives", {"what": "bytes"}, ("BAD_MEASUREMENT", "{}: gives returns b'x', which is no JSON value", 1)),
        ("gives", {"what": "large"}, ("BAD_MEASUREMENT", "{}: gives returns 16,777,218 bytes of JSON, more than 16,777,216", 1)),
    ],
)
def test_what_goes_wrong_costs_this_medium(clip: str, task: Callable[..., Task], function: str, params: Any, told: Any) -> None:
    code, message, attempts = failure(task(function), clip, params)
    assert (code, attempts) == (told[0], told[2])
    assert message.startswith(told[1].format(clip))


def test_one_that_hangs_is_stopped(clip: str, task: Callable[..., Task]) -> None:
    code, message, _ = failure(task("hangs"), clip, cpu_seconds=0.3)
    assert (code, message) == ("DECODE_TIMEOUT", f"{clip}: reading it took more than 0.3 CPU seconds")


def test_limits_grow_with_the_duration_and_the_cost(clip: str, task: Callable[..., Task]) -> None:
    assert failure(task("burns"), clip, cpu_seconds=0.3)[0] == "DECODE_TIMEOUT"
    costly = task("burns", cost=0.5)
    assert run(lambda pool: pool.measure(costly, work(clip), seconds=4.0), cpu_seconds=0.3) == "done"


def test_an_edited_task_is_another_one(tmp_path: Path, task: Callable[..., Task]) -> None:
    before = task("fails")
    (tmp_path / "my_tasks.py").write_text(TASKS + "\n")
    assert before.source
    assert task_in_file(tmp_path / "my_tasks.py", "fails").source != before.source


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"^none\.py: the task measure cannot be read: No such file or directory$"):
        task_in_file("none.py", "measure")


class TestSeveral:
    def test_values_and_errors_come_in_order(self, clip: str, tmp_path: Path, task: Callable[..., Task]) -> None:
        works = [work(clip), work(str(tmp_path / "gone.mp4")), work(clip, span=Span(start=1.0, end=2.0))]
        first, gone, part = run(lambda pool: pool.measure_several(HEADER, works))
        assert (first["duration"], gone.code, part["duration"]) == (4.0, "FILE_NOT_FOUND", 1.0)

    def test_if_the_worker_does_not_survive_them_each_is_measured_alone(
        self, clip: str, tmp_path: Path, task: Callable[..., Task]
    ) -> None:
        (tmp_path / "my_tasks.py").write_text(TASKS + "\ndef odd(medium, *, n):\n    return n if n != 1 else os.abort()\n")
        works = [work(clip, {"n": n}) for n in range(3)]
        first, crashed, last = run(lambda pool: pool.measure_several(task_in_file(tmp_path / "my_tasks.py", "odd"), works))
        assert (first, last, crashed.code, crashed.attempts) == (0, 2, "DECODER_CRASHED", 2)

    def test_relative_paths(self, clip: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(Path(clip).parent)
        (value,) = run(lambda pool: pool.measure_several(HEADER, [work("clip.mp4")]))
        assert value["duration"] == 4.0
