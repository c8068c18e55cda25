"""What a worker says on its socket, without a pool."""

import errno
import json
import math
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_clips import number_in, write_clip
from PIL import Image

from juicecap.errors import EnvironmentFailure
from juicecap.isolated.limits import own_memory
from juicecap.isolated.messages import line_of
from juicecap.media.rules import DEFAULT_RULES
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.workers import shared_frames
from juicecap.media.workers.shared_frames import SharedFrames, mapped
from juicecap.media.workers.worker import _UNTOLD, _failure, _wants_memory, answer

pytestmark = pytest.mark.process

Worker = tuple[subprocess.Popen[bytes], socket.socket]


@pytest.fixture
def worker() -> Iterator[Worker]:
    ours, theirs = socket.socketpair()
    ignoring = "import os, signal, sys; signal.signal(signal.SIGPROF, signal.SIG_IGN); "
    blocking = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF]); os.execv(sys.executable, sys.argv[1:])"
    command = [sys.executable, "-m", "juicecap.media.workers.worker", str(theirs.fileno())]
    process = subprocess.Popen([sys.executable, "-c", ignoring + blocking, *command], pass_fds=[theirs.fileno()])
    theirs.close()
    ours.settimeout(60)
    assert received(ours) == ({"ready": True}, [])
    yield process, ours
    process.kill()
    process.wait()
    ours.close()


def received(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    text, descriptors = b"", []
    while not text.endswith(b"\n"):
        data, fds, _, _ = socket.recv_fds(channel, 4096, 1)
        assert data
        text += data
        descriptors += fds
    return json.loads(text), descriptors


def job(path: object, *, seconds: float = 60.0, **sampling: float) -> dict[str, Any]:
    return {
        "do": "picture",
        "pictures": [],
        "span": {"start": 0.0, "end": None},
        "kind": "video",
        "path": str(path),
        "folder": None,
        "sampling": asdict(FrameSampling(**sampling)),
        "sizes": asdict(FrameSizes()),
        "rules": asdict(DEFAULT_RULES),
        "cpu_seconds": seconds,
        "memory": 2**32,
    }


def test_pixels_come_as_a_descriptor_next_to_their_facts(worker: Worker, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 40)
    for count in (3, 2):
        worker[1].sendall(line_of(job(path, num_frames=count)))
        reply, (fd,) = received(worker[1])
        facts = {"shape": [count, 64, 96, 3], "duration": 4.0, "unreadable": 0, "damage": "", "tone_mapped": False}
        facts["stored_size"] = [96, 64]
        assert reply == {"picture": facts | {"times": pytest.approx([0.0, 2.0, 3.9] if count == 3 else [0.0, 3.9])}}
        pixels = mapped(fd, reply["picture"]["shape"])
        os.close(fd)
        assert [number_in(picture) for picture in pixels] == ([0, 20, 39] if count == 3 else [0, 39])


def test_a_reply_of_any_length(worker: Worker, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", [np.zeros((16, 16, 3), np.uint8)] * 3000, codec="ffv1", fps=60)
    worker[1].sendall(line_of(job(path, fps=100.0, max_frames=10_000)))
    reply, (fd,) = received(worker[1])
    os.close(fd)
    assert reply["picture"]["times"] == pytest.approx([number / 60 for number in range(3000)], abs=1e-3)


def test_the_limit_of_cpu_time_kills_also_where_its_signal_was_ignored_and_blocked(worker: Worker, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    path = write_clip(tmp_path / "heavy.mkv", [noise] * 20, codec="ffv1", gop=1, pix_fmt="yuv444p")
    worker[1].sendall(line_of(job(path, seconds=0.02, num_frames=20)))
    assert worker[1].recv(1) == b""
    assert worker[0].wait() == -signal.SIGPROF


def test_an_error_of_the_medium(worker: Worker, tmp_path: Path) -> None:
    worker[1].sendall(line_of(job(tmp_path / "gone.mp4")))
    reply, fds = received(worker[1])
    message = f"{tmp_path / 'gone.mp4'} does not exist"
    assert (reply, fds) == ({"error": {"code": "FILE_NOT_FOUND", "message": message, "retryable": False}}, [])


def test_it_ends_with_its_socket(worker: Worker) -> None:
    worker[1].close()
    assert worker[0].wait(60) == 0


def test_what_the_system_has_run_out_of_is_not_the_files_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("juicecap.media.workers.worker.load_frames", full)
    reply = answer(job("a.mp4"), SharedFrames())
    assert reply == {"environment": "a.mp4 cannot be decoded now (Too many open files)"}


def test_a_sandbox_without_files_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: str) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "memfd_create", refused)
    frames = SharedFrames()
    frames.allocate(1, 2, 2)[:] = 7
    assert (mapped(frames.fd, (1, 2, 2, 3)) == 7).all()
    assert os.fstat(frames.fd).st_nlink == 0
    frames.close()


def test_a_worker_without_a_free_descriptor_says_so_and_goes_on(worker: Worker, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 3)
    before = resource.prlimit(worker[0].pid, resource.RLIMIT_NOFILE, (3, 4096))
    worker[1].sendall(line_of(job(path)))
    assert received(worker[1]) == ({"environment": f"{path} cannot be decoded now (Too many open files)"}, [])
    resource.prlimit(worker[0].pid, resource.RLIMIT_NOFILE, (min(before[0], 4096), 4096))
    worker[1].sendall(line_of(job(path)))
    reply, (fd,) = received(worker[1])
    os.close(fd)
    assert reply["picture"]["shape"] == [3, 64, 96, 3]


@pytest.mark.parametrize("seconds", [math.inf, 1e308, 1e18, 1e9])
def test_a_time_that_no_timer_holds_is_no_limit(worker: Worker, tmp_path: Path, seconds: float) -> None:
    worker[1].sendall(line_of(job(write_clip(tmp_path / "clip.mp4", 3), seconds=seconds)))
    reply, (fd,) = received(worker[1])
    os.close(fd)
    assert reply["picture"]["shape"] == [3, 64, 96, 3]


def test_a_failure_of_the_environment_stays_one() -> None:
    assert _failure(EnvironmentFailure("no more files"), "a.mp4", 1) == {"environment": "no more files"}


def test_without_proc_the_memory_of_a_job_is_not_taken_for_what_the_process_has(monkeypatch: pytest.MonkeyPatch) -> None:
    here = own_memory(_UNTOLD)
    monkeypatch.setattr(Path, "read_text", lambda *_: (_ for _ in ()).throw(FileNotFoundError()))
    assert here > 2**20
    assert own_memory(_UNTOLD) == 2**30


def test_where_no_file_may_grow_it_is_not_the_files_fault(tmp_path: Path) -> None:
    path = str(write_clip(tmp_path / "clip.mp4", 3))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    try:
        reply = answer(job(path), SharedFrames())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(reply) == ["environment"]
    assert reply["environment"].startswith(f"{path} cannot be decoded now (no room for ")
    assert reply["environment"].endswith(" bytes of frames); make room and run again, which resumes")


@pytest.mark.parametrize("system", ["with memfd", "without"])
def test_shared_frames_are_seen_by_who_maps_them(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    if system == "without":
        monkeypatch.delattr(os, "memfd_create")
    frames = SharedFrames()
    frames.allocate(1, 2, 2)[:] = 9
    room = frames.allocate(5, 4, 6)
    room[3] = np.arange(4 * 6 * 3).reshape(4, 6, 3)
    taken = mapped(frames.fd, (4, 4, 6, 3))
    taken[0] = 200
    frames.close()
    assert taken[3].ravel().tolist() == list(range(72))
    assert (room[0] != 200).all()


def test_a_nameless_file_leaves_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fd = shared_frames.nameless_file()
    os.write(fd, b"here")
    assert list(tmp_path.iterdir()) == []
    os.close(fd)


def test_it_ends_with_a_pool_that_was_killed_before_it_heard_from_it() -> None:
    ours, theirs = socket.socketpair()
    with subprocess.Popen(
        [sys.executable, "-m", "juicecap.media.workers.worker", str(theirs.fileno())], pass_fds=[theirs.fileno()]
    ) as process:
        theirs.close()
        assert select.select([ours], [], [], 60)[0]  # it has said that it is ready, and nobody reads that
        ours.close()
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (MemoryError(), True),
        (RuntimeError("can't start new thread"), True),
        (ImportError("a part of it could not be loaded"), False),
        (RuntimeError("something else"), False),
    ],
)
def test_a_lack_of_memory_is_known_by_whatever_name(error, wanted):
    assert _wants_memory(error) is wanted
    told = SystemError("in other words")
    told.__cause__ = error
    assert _wants_memory(told) is wanted


IMPORTING = """
import sys
from juicecap.media.workers import worker
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
before = set(sys.modules)
for path in sys.argv[1:]:
    worker.load_frames("video" if path.endswith("mp4") else "image", path, FrameSampling(), FrameSizes())
print(sorted(set(sys.modules) - before))
"""


def test_nothing_is_imported_when_memory_is_limited_already(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 3)
    images = [tmp_path / f"image.{suffix}" for suffix in ("png", "jpg", "webp", "gif", "tiff", "bmp")]
    for image in images:
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(image)
    command = [sys.executable, "-c", IMPORTING, tmp_path / "clip.mp4", *images]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
