"""Decoding in worker processes: the same pixels, the same errors, and one sample lost where a decoder does not come back."""

import asyncio
import gc
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from loguru import logger
from make_clips import number_in, picture_of, write_clip
from PIL import Image

import juicecap
from juicecap.errors import EnvironmentFailure, MediaError
from juicecap.media.load import load_frames
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes, PixelBudget
from juicecap.media.tasks.task import Work, task_in_file
from juicecap.media.video.probe import probe
from juicecap.media.workers import pool as pools
from juicecap.media.workers import worker_process
from juicecap.media.workers.pool import DecodePool
from juicecap.media.workers.worker_process import WorkerProcess
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.process

FREE = FrameSizes()
EIGHT = FrameSampling(num_frames=8)


def run(work: Callable[[DecodePool], Awaitable[object]], workers: int = 1, **limits: float) -> object:
    async def main() -> object:
        pool = DecodePool(workers, **limits)
        try:
            return await asyncio.wait_for(work(pool), 60)
        finally:
            await pool.close()

    return asyncio.run(main())


@pytest.fixture(autouse=True, scope="module")
def alone() -> None:
    """No workers of other tests."""
    core.close()


def children(of: int | None = None) -> dict[int, str]:
    """Process ids of a process's children with their states, but for those in which engines of other tests render prompts."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if int(parent) == (of or os.getpid()) and b"juicecap.isolated" not in command:
                found[int(folder.name)] = state
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def soon(what: Callable[[], bool]) -> None:
    for _ in range(2000):
        if what():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


@pytest.fixture
def asked(monkeypatch):
    """The process ids of the workers that were asked something, in order."""
    pids, plain = [], WorkerProcess.ask

    def spied(self, job):
        pids.append(self._process.pid)
        return plain(self, job)

    monkeypatch.setattr(WorkerProcess, "ask", spied)
    return pids


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", 40, b_frames=2))


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A clip that takes seconds of CPU to decode whole."""
    noise = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    pictures = [np.roll(noise, 16 * step, (0, 1)) for step in range(12)]
    path = tmp_path_factory.mktemp("heavy") / "heavy.mkv"
    return str(write_clip(path, pictures * 5, gop=1, codec="ffv1", pix_fmt="yuv444p", options={"level": "1"}))


ALL, FEW = FrameSampling(num_frames=60), FrameSampling(num_frames=4, end=0.5)


@pytest.mark.parametrize("nameless", ["memfd", "temporary file"])
def test_the_same_pixels_and_facts_as_without_it(tmp_path, monkeypatch, clip, nameless):
    if nameless != "memfd":  # the worker starts with this, and has no memfd either
        (tmp_path / "sitecustomize.py").write_text("import os\ndel os.memfd_create\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delattr(os, "memfd_create")
    turned = str(write_clip(tmp_path / "turned.mov", 30, rotation=90))
    image = str(tmp_path / "a.png")
    Image.fromarray(picture_of(77)).save(image)
    sizes = FrameSizes(video=PixelBudget(factor=16, shortest=1024, longest=40_000, whole_video=True))

    async def ask(pool):
        asked = [("video", clip, EIGHT), ("video", turned, FrameSampling()), ("image", image, EIGHT)]
        return asked, await asyncio.gather(*(pool.picture(*each, sizes) for each in asked)), await pool.probe(clip)

    asked, pictures, info = run(ask)
    for each, picture in zip(asked, pictures, strict=True):
        expected = load_frames(*each, sizes)
        assert np.array_equal(picture.pixels, expected.pixels), each
        assert (picture.times, picture.duration, picture.unreadable) == (expected.times, expected.duration, 0)
    assert [number_in(pixels) for pixels in pictures[0].pixels] == [0, 5, 11, 17, 22, 28, 34, 39]
    assert number_in(pictures[2].pixels[0]) == 77
    assert info == probe(clip)


def test_pixels_are_the_parents_own_and_torch_takes_them_without_a_word(clip):
    picture = run(lambda pool: pool.picture("video", clip, EIGHT, FREE))
    before = picture.pixels.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.from_numpy(picture.pixels)
    tensor[0] = 7
    assert (picture.pixels[0] == 7).all()
    assert np.array_equal(picture.pixels[1:], before[1:])


def test_errors_are_carried_over_as_they_are(tmp_path, clip):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    ribbon = tmp_path / "ribbon.png"
    Image.fromarray(np.zeros((2, 800, 3), np.uint8)).save(ribbon)
    sizes = FrameSizes(image=PixelBudget(factor=28, shortest=3136, longest=100_000))
    names = ["text.mp4", "empty.mp4", "gone\n📼.mp4", "ribbon.png", os.fsdecode(b"caf\xe9.mp4"), ""]
    asked = [("image" if name.endswith("png") else "video", str(tmp_path / name), EIGHT, sizes) for name in names]

    def failure(error):
        return type(error), error.code, error.message, error.retryable

    async def ask(pool):
        return await asyncio.gather(*(pool.picture(*each) for each in asked), pool.probe(asked[0][1]), return_exceptions=True)

    *pictures, probed = run(ask)
    for each, raised in zip(asked, pictures, strict=True):
        with pytest.raises(MediaError) as expected:
            load_frames(*each)
        assert failure(raised) == failure(expected.value)
    assert probed.code == "UNREADABLE"


@pytest.mark.parametrize("name", ["a b\nc.mp4", "📼 käse.mp4"])
def test_any_name_will_do_and_relative_ones_start_from_where_the_parent_is_now(tmp_path, monkeypatch, clip, name):
    write_clip(tmp_path / "other.mp4", 20).rename(tmp_path / name)

    async def ask(pool):
        await pool.probe(clip)
        monkeypatch.chdir(tmp_path)
        return await pool.picture("video", name, FrameSampling(num_frames=2), FREE)

    assert [number_in(pixels) for pixels in run(ask).pixels] == [0, 19]


def test_a_worker_is_light_and_only_started_when_it_is_needed(clip):
    async def ask(pool):
        assert not children()
        await pool.probe(clip)
        (pid,) = children()
        mapped = Path(f"/proc/{pid}/maps").read_text()
        assert Path(f"/proc/{pid}/limits").read_text().split("Max core file size")[1].split()[0] == "0"
        assert b"OMP_NUM_THREADS=1" in Path(f"/proc/{pid}/environ").read_bytes()
        return [name for name in ("torch", "pyarrow", "transformers") if f"/{name}/" in mapped]

    assert run(ask, workers=4) == []
    imported = "import sys, juicecap.media.workers.worker\n"
    imported += "print(sorted({'torch', 'transformers', 'datasets', 'asyncio'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", imported], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_jobs_are_begun_in_the_order_in_which_they_were_asked(tmp_path, clip):
    done = []

    async def one(pool, number):
        await pool.probe(clip)
        done.append(number)

    async def ask(pool):
        await asyncio.gather(*(one(pool, number) for number in range(20)))

    run(ask)
    assert done == list(range(20))


def test_too_much_cpu_time_costs_that_sample_alone(clip, heavy):
    async def ask(pool):
        lost = pool.picture("video", heavy, ALL, FREE)
        return await asyncio.gather(lost, *(pool.picture("video", clip, EIGHT, FREE) for _ in range(3)), return_exceptions=True)

    lost, *others = run(ask, workers=2, cpu_seconds=0.25)
    assert (lost.code, lost.retryable) == ("DECODE_TIMEOUT", False)
    assert lost.message == f"{heavy}: reading it took more than 0.25 CPU seconds"
    assert [number_in(other.pixels[-1]) for other in others] == [39] * 3


@pytest.mark.parametrize("signals", [["SIGSEGV", "SIGSEGV"], ["SIGKILL", "SIGSEGV"]])
def test_two_crashes_cost_that_sample_alone(clip, heavy, asked, signals):
    async def ask(pool):
        job = asyncio.create_task(pool.picture("video", heavy, ALL, FREE))
        neighbour = asyncio.create_task(pool.picture("video", clip, EIGHT, FREE))
        for count, name in enumerate(signals, 1):
            await soon(lambda count=count: len(asked) == count)
            os.kill(asked[-1], signal.Signals[name])
        return await asyncio.gather(job, neighbour, return_exceptions=True)

    lost, neighbour = run(ask)
    assert len(set(asked)) == 3
    assert (lost.code, lost.retryable, lost.attempts) == ("DECODER_CRASHED", False, 2)
    assert lost.message == f"{heavy}: the decoder crashed (signal SIGSEGV), twice"
    assert [number_in(pixels) for pixels in neighbour.pixels] == [0, 5, 11, 17, 22, 28, 34, 39]


def test_after_one_crash_a_fresh_worker_does_the_job(clip, heavy, asked):
    async def ask(pool):
        job = asyncio.create_task(pool.picture("video", heavy, FEW, FREE))
        await soon(lambda: bool(asked))
        os.kill(asked[0], signal.SIGSEGV)
        return await job

    assert np.array_equal(run(ask).pixels, load_frames("video", heavy, FEW, FREE).pixels)
    assert len(set(asked)) == 2


def test_a_worker_that_stands_still_is_killed_by_the_clock(clip, heavy, asked):
    async def ask(pool):
        job = asyncio.create_task(pool.picture("video", heavy, ALL, FREE))
        neighbour = asyncio.create_task(pool.probe(clip))
        for count in (1, 2):
            await soon(lambda count=count: len(asked) == count)
            os.kill(asked[-1], signal.SIGSTOP)
        return await asyncio.gather(job, neighbour, return_exceptions=True)

    lost, neighbour = run(ask, wall_seconds=0.5)
    assert (lost.code, lost.retryable) == ("DECODE_TIMEOUT", False)
    assert lost.message == f"{heavy}: reading it took more than 0.5 seconds"
    assert neighbour.frames == 40


def test_a_worker_that_died_while_idle_costs_nothing(clip):
    async def ask(pool):
        await pool.probe(clip)
        (pid,) = children()
        os.kill(pid, signal.SIGKILL)
        await soon(lambda: not alive(pid))
        return await pool.probe(clip)

    assert run(ask).frames == 40


def test_who_gives_up_gets_nobody_elses_reply(clip, heavy, tmp_path):
    other = str(write_clip(tmp_path / "other.mp4", [picture_of(number) for number in range(100, 110)]))

    async def ask(pool):
        await pool.probe(clip)
        for wait in (0.0, 0.02, 0.1):
            job = asyncio.create_task(pool.picture("video", heavy, ALL, FREE))
            await asyncio.sleep(wait)
            job.cancel()
            assert isinstance((await asyncio.gather(job, return_exceptions=True))[0], asyncio.CancelledError)
            picture = await pool.picture("video", other, FrameSampling(num_frames=2), FREE)
            assert [number_in(pixels) for pixels in picture.pixels] == [100, 109]

    run(ask)


def test_nothing_is_left_behind(clip, heavy, asked):
    def descriptors():
        gc.collect()
        return sorted(Path("/proc/self/fd").iterdir())

    async def ask(pool):
        pictures = await asyncio.gather(*(pool.picture("video", clip, EIGHT, FREE) for _ in range(6)))
        for pid in set(asked):
            os.kill(pid, signal.SIGSTOP)  # none of them ends what it is asked now
        jobs = [asyncio.create_task(pool.picture("video", heavy, ALL, FREE)) for _ in range(3)]
        await soon(lambda: len(asked) == 8)
        jobs[0].cancel()
        await pool.close()
        await pool.close()
        ended = await asyncio.gather(*jobs, return_exceptions=True)
        with pytest.raises(EnvironmentFailure, match="the pool of workers is closed"):
            await pool.probe(clip)
        return pictures, ended

    asyncio.run(asyncio.sleep(0))
    before = len(descriptors())
    pictures, ended = run(ask, workers=2)
    assert not children()
    assert len(descriptors()) == before  # also while the pixels live
    assert [type(each) for each in ended] == [asyncio.CancelledError, EnvironmentFailure, EnvironmentFailure]
    assert "juicecap-frames" in Path("/proc/self/maps").read_text()
    assert number_in(pictures[5].pixels[7]) == 39
    del pictures
    gc.collect()
    assert "juicecap-frames" not in Path("/proc/self/maps").read_text()


SCRIPT = """
    import asyncio, os, sys
    sys.path.insert(0, {root!r})
    from juicecap.media.workers.pool import DecodePool
    from juicecap.media.sampling import FrameSampling
    from juicecap.media.sizes import FrameSizes

    async def main():
        pool = DecodePool(1)
        print((await pool.probe({clip!r})).frames, flush=True)
        await pool.picture("video", {heavy!r}, FrameSampling(num_frames=60), FrameSizes())

    asyncio.run(main())
"""


@pytest.fixture
def script(tmp_path, clip, heavy):
    """A bare script that decodes, in a process of its own."""
    path = tmp_path / "script.py"
    root = str(Path(juicecap.__file__).parents[1])
    path.write_text(textwrap.dedent(SCRIPT.format(root=root, clip=clip, heavy=heavy)))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        [sys.executable, str(path)], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def test_workers_end_with_their_parent_in_the_middle_of_a_job(script):
    assert script.stdout.readline() == "40\n"
    (worker,) = children(of=script.pid)
    script.kill()
    asyncio.run(soon(lambda: not alive(worker)))


def test_ctrl_c_is_for_the_parent_alone(script):
    assert script.stdout.readline() == "40\n"
    (worker,) = children(of=script.pid)
    os.kill(worker, signal.SIGINT)
    assert os.getpgid(worker) == worker  # what a terminal sends goes to the group of the script
    time.sleep(0.05)
    assert alive(worker)
    script.send_signal(signal.SIGINT)
    said = script.communicate(timeout=30)[1]
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert "media/workers/worker.py" not in said
    asyncio.run(soon(lambda: not alive(worker)))


def test_workers_that_cannot_start_are_a_failure_of_the_environment(tmp_path, monkeypatch, clip):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(EnvironmentFailure, match=r"no process can be started to decode videos in .*no-python"):
        run(lambda pool: pool.probe(clip))
    monkeypatch.undo()
    (tmp_path / "sitecustomize.py").write_text("import os\nos.write(2, b'first\\nno luck today\\n')\nos._exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EnvironmentFailure, match=r"ended at its start \(exit status 3: no luck today\)"):
        run(lambda pool: pool.probe(clip))
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(worker_process, "START_SECONDS", 0.2)
    with pytest.raises(EnvironmentFailure, match=r"did not start within 0.2 s"):
        run(lambda pool: pool.probe(clip))


def test_an_exception_that_nobody_expected_costs_that_medium_alone_and_is_logged(clip):
    async def ask(pool):
        asked = pool.picture("video", clip, FrameSampling(fps="two"), FREE), pool.probe(clip)
        return await asyncio.gather(*asked, return_exceptions=True)

    logged: list[str] = []
    sink = logger.add(logged.append, level="INFO", format="{message}")
    lost, info = run(ask)
    logger.remove(sink)
    assert str(lost).startswith(f"DECODER_CRASHED: {clip}: the decoder fails with TypeError: ")
    assert not lost.retryable
    assert info.frames == 40
    assert re.search(r"(?s)clip.mp4: an unexpected exception.*Traceback.*load_frames.*TypeError", "".join(logged))


def test_frames_that_do_not_fit_into_memory_cost_their_sample(clip):
    vast = FrameSizes(video=PixelBudget(factor=2**22, shortest=1, longest=2**62))

    async def ask(pool):
        (lost,) = await asyncio.gather(pool.picture("video", clip, EIGHT, vast), return_exceptions=True)
        return lost, await pool.probe(clip)

    lost, info = run(ask)
    need = "reading it takes more memory than there is, or more than 4096 MB (decode_memory_mb)"
    assert (lost.code, lost.message, lost.retryable) == ("TOO_LARGE", f"{clip}: {need}", True)
    assert info.frames == 40


def test_the_loop_is_free_while_workers_start_and_decode(heavy):
    async def ask(pool):
        job, turns = asyncio.create_task(pool.picture("video", heavy, FEW, FREE)), 0
        while not job.done():
            await asyncio.sleep(0.001)
            turns += 1
        await job
        return turns

    assert run(ask) > 20


def test_a_worker_that_has_read_many_media_is_replaced(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "MOST_MEDIA", 3)
    (tmp_path / "tasks.py").write_text("import os\n\ndef process(medium):\n    return os.getpid()\n")
    task = task_in_file(tmp_path / "tasks.py", "process")
    work = Work(kind="video", path=str(clip), params={})

    async def ask(pool):
        one_by_one = [await pool.measure(task, work) for _ in range(5)]
        return [*one_by_one, *await pool.measure_several(task, [work] * 4), await pool.measure(task, work)]

    processes = run(ask)
    assert [processes.index(each) for each in processes] == [0, 0, 0, 3, 3, 3, 3, 3, 3, 9]
