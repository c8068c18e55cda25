"""A process that decodes: one job at a time, for the `DecodePool` that started it.

Jobs and replies are lines of JSON on a socket; pixels travel as a file descriptor next to the reply (`shared_frames`). The
process ends when the socket does, also in the middle of a job, so it does not outlive its pool.

    {"do": "picture", "kind": "video", "path": "a.mp4", "folder": "/data", "rules": {...}, "sampling": {...}, "sizes": {...},
     "pictures": [], "cpu_seconds": 300, "memory": 4294967296}
    {"picture": {"shape": [8, 360, 640, 3], "times": [0.0, ...], "duration": 4.0, "unreadable": 0,
                  "damage": "", "tone_mapped": false, "stored_size": [1280, 720]}}

Other replies: `value` (to `measure`: what a task returns), `replies` (to `several` of those), `error` (a `MediaError`, with a
`traceback` if nobody expected it), `environment` (an `EnvironmentFailure`).
"""

from __future__ import annotations

import errno
import json
import os
import queue
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

import av.subtitles.stream  # noqa: F401  (PyAV imports it with the first file, when memory is limited already)

from juicecap.errors import EnvironmentFailure, MediaError, causes
from juicecap.fragment import Span
from juicecap.isolated.limits import give_back_memory, limit_cpu, limit_memory, own_memory, settle_signals
from juicecap.isolated.messages import READY, line_of
from juicecap.media.load import load_frames
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.tasks.medium import Medium
from juicecap.media.tasks.run import run_task
from juicecap.media.workers.shared_frames import NoRoom, SharedFrames
from juicecap.sample import display_path

Message = dict[str, Any]

NICENESS = 10
"""The engine goes before: what feeds it must not take its core. The frames that it needs next have long been decoded."""

_JOBS_BETWEEN = 50
"""Jobs after which free memory is given back to the system."""

_UNTOLD = 2**30
"""Bytes that this process is taken to have before its first job where the system does not tell: more than it ever has, so that no
medium is refused for that."""

_LONGEST_TIMER = 1e9
"""Seconds; thirty years."""

_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC)


def main(fd: int) -> None:
    """Serve until the socket `fd` ends."""
    settle_signals()
    os.nice(NICENESS)
    channel = socket.socket(fileno=fd)
    channel.sendall(line_of(READY))
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, jobs), daemon=True).start()
    own, done = own_memory(_UNTOLD), 0
    while True:
        job = json.loads(jobs.get())
        done += len(job.get("jobs", [job]))
        if done >= _JOBS_BETWEEN:
            give_back_memory()
            done = 0
        if job["do"] == "several":
            replies = [_limited({**job["every"], **each}, own) for each in job["jobs"]]
            _send(channel, line_of({"replies": replies}), [])
            continue
        if job["do"] == "measure":
            _send(channel, line_of(_limited(job, own)), [])
            continue
        try:
            frames = SharedFrames()
        except OSError as error:  # of which the medium knows nothing
            _send(channel, line_of(_no_room_now(display_path(job["path"]), error)), [])
            continue
        with closing(frames):
            reply = _limited(job, own, frames)
            _send(channel, line_of(reply), [frames.fd] if "picture" in reply else [])


def _limited(job: Message, own: int, frames: SharedFrames | None = None) -> Message:
    """Do a job within its limits; `own` are the bytes that this process has without one."""
    with suppress(OSError, ValueError):  # a system that cannot do that sets no limit, and no medium is refused for it
        limit_memory(own + job["memory"])  # shared memory, in which the frames travel, does not count
    limit_cpu(_timer(job["cpu_seconds"]))
    reply = answer(job, frames)
    limit_cpu(0)
    return reply


def answer(job: Message, frames: SharedFrames | None = None) -> Message:
    """Do a job, with the pixels in `frames`, whatever may come of it."""
    path, rules = job["path"], MediaLimits(**job["rules"])
    try:
        if job["folder"]:
            os.chdir(job["folder"])
        film: Message = {"pictures": tuple(job["pictures"]), "span": Span(**job["span"])}
        if job["do"] == "measure":
            return {"value": run_task(job["function"], Medium(kind=job["kind"], path=path, **film, rules=rules), job["params"])}
        sampling, sizes = FrameSampling(**job["sampling"]), FrameSizes.from_plain(job["sizes"])
        assert frames
        picture = load_frames(job["kind"], path, sampling, sizes, **film, rules=rules, allocate=frames.allocate)
    except Exception as error:  # noqa: BLE001  # the door to the pool, which raises it again
        return _failure(error, path, job["memory"], job.get("foreign", ""))
    names = ("times", "duration", "unreadable", "damage", "tone_mapped", "stored_size")
    facts = {name: getattr(picture, name) for name in names}
    return {"picture": {"shape": picture.pixels.shape, **facts}}


def _failure(error: Exception, path: str, memory: int, foreign: str = "") -> Message:
    """What went wrong; in the task of this name, if it is a user's."""
    name = display_path(path)
    if isinstance(error, MediaError):
        return {"error": {"code": error.code, "message": error.message, "retryable": error.retryable}}
    if isinstance(error, EnvironmentFailure):
        return {"environment": str(error)}
    if isinstance(error, NoRoom):
        return {"environment": f"{name} cannot be decoded now ({error}); make room and run again, which resumes"}
    if _wants_memory(error):
        need = f"reading it takes more memory than there is, or more than {memory >> 20} MB (decode_memory_mb)"
        return {"error": {"code": "TOO_LARGE", "message": f"{name}: {need}", "retryable": True}}
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return _no_room_now(name, error)
    code = "TASK_FAILED" if foreign else "DECODER_CRASHED"
    message = display_path(f"{foreign or 'the decoder'} fails with {type(error).__name__}: {error}".partition("\n")[0])
    failure = {"code": code, "message": f"{name}: {message}", "retryable": False}
    return {"error": failure, "traceback": "".join(traceback.format_exception(error))}


def _no_room_now(name: str, error: OSError) -> Message:
    return {"environment": f"{name} cannot be decoded now ({error.strerror})"}


def _timer(seconds: float) -> float:
    """`seconds` as a timer takes them; 0, which is none, for more than a timer holds."""
    return seconds if seconds < _LONGEST_TIMER else 0.0


def _wants_memory(error: BaseException) -> bool:
    """Whether an error comes from a lack of memory, also one that a library reports as another error."""
    return any(
        isinstance(each, MemoryError) or (isinstance(each, RuntimeError) and "can't start new thread" in str(each))
        for each in causes(error)
    )


def _listen(channel: socket.socket, jobs: queue.SimpleQueue[bytes], end: Callable[[int], object] = os._exit) -> None:
    """Pass jobs on; end the process when there is nobody to reply to, whatever the main thread does."""
    with channel.makefile("rb") as lines, suppress(OSError):  # such as one that went before it read what was sent
        for line in lines:
            jobs.put(line)
    end(0)


def _send(channel: socket.socket, line: bytes, fds: list[int]) -> None:
    try:
        sent = socket.send_fds(channel, [line], fds)
        channel.sendall(line[sent:])
    except OSError:  # the pool is gone
        sys.exit()


if __name__ == "__main__":
    main(int(sys.argv[1]))
