"""Decoding in worker processes, so that a file that hangs or crashes a decoder costs one sample and nothing else.

A worker is `python -m juicecap.media.workers.worker`, started at first need and never forked, so a pool works from bare scripts
and notebooks. A job that its worker does not survive is tried once more in a fresh one. Limits: CPU seconds, kept by a timer in
the worker that interrupts foreign code too; the wall clock, kept here, for a worker that does not use any CPU; and memory, kept
by the system where it can (Linux). Where a worker is killed for want of memory, that is a crash.

A pool belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loguru import logger

from juicecap.errors import EnvironmentFailure, MediaError
from juicecap.fragment import WHOLE, Span
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import PICTURE_FPS, FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.tasks.catalog import HEADER
from juicecap.media.tasks.task import Task, Work
from juicecap.media.video.probe import VideoInfo
from juicecap.media.workers.shared_frames import mapped
from juicecap.media.workers.turns import FOR_ENGINE, Need, Turns
from juicecap.media.workers.worker_process import WorkerEnded, WorkerProcess
from juicecap.sample import display_path

TRIES = 2

MOST_MEDIA = 5000
"""Media after which a worker is replaced: libraries keep a little of the memory that each medium took."""

MEMORY = 4 * 2**30
"""Bytes: what decoding 64 million pixels per frame takes, with all the frames that others are made from."""

WALL_FOR_CPU = 10.0
"""Seconds of the wall clock that a job may take for each CPU second that it may use."""

_GONE_WITHIN = 5.0
"""Seconds that `close` waits for killed workers; one that the system does not let go must not hold up the rest."""


class DecodePool:
    """Workers that decode side by side, by default one per core; each job may take `cpu_seconds`, `wall_seconds` and `memory`.

    Jobs are started by need (`turns.py`), those of equal need in the order of their calls. Cancelling a call ends its job.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        cpu_seconds: float = 300.0,
        wall_seconds: float | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.workers = workers or usable_cores()
        self._turns = Turns(self.workers)
        self._cpu_seconds = cpu_seconds
        self._memory = memory
        self._wall_seconds = WALL_FOR_CPU * cpu_seconds if wall_seconds is None else wall_seconds
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._dropped: list[WorkerProcess] = []
        self._closed = False

    async def picture(
        self,
        kind: str,
        path: str,
        sampling: FrameSampling,
        sizes: FrameSizes,
        rules: MediaLimits = DEFAULT_RULES,
        pictures: Sequence[str] = (),
        span: Span = WHOLE,
    ) -> MediaFrames:
        """As `load_frames`; the pixels are writable and this process's own.

        Raises:
            MediaError: as `load_frames`; `DECODE_TIMEOUT`, `DECODER_CRASHED`, or `TOO_LARGE` for want of memory.
            EnvironmentFailure: no worker can be started, something that the system has run out of, or a closed pool.
        """
        film = {"pictures": pictures, "span": vars(span)}
        job = {"do": "picture", "kind": kind, "sampling": asdict(sampling), "sizes": asdict(sizes), **film}
        reply, fd = await self._answer(job, path, rules)
        facts = reply["picture"]
        try:
            if fd is None:
                raise EnvironmentFailure(f"{display_path(path)}: its frames cannot be taken over (too many open files)")
            pixels = mapped(fd, facts.pop("shape"))
        except OSError as error:
            raise EnvironmentFailure(f"{display_path(path)}: its frames cannot be taken over ({error.strerror})") from error
        finally:
            if fd is not None:
                os.close(fd)
        return MediaFrames(pixels=pixels, **{name: _fact(value) for name, value in facts.items()})

    async def probe(
        self,
        path: str,
        rules: MediaLimits = DEFAULT_RULES,
        *,
        pictures: Sequence[str] = (),
        picture_fps: float = PICTURE_FPS,
        span: Span = WHOLE,
    ) -> VideoInfo:
        """As `juicecap.media.load.video_info`, with the errors of `picture`."""
        work = Work(kind="video", path=path, params={"picture_fps": picture_fps}, pictures=tuple(pictures), span=span)
        return VideoInfo(**await self.measure(HEADER, work, rules))

    async def measure(
        self,
        task: Task,
        work: Work,
        rules: MediaLimits = DEFAULT_RULES,
        *,
        seconds: float = 0.0,
        target: str = "",
        need: Need = FOR_ENGINE,
    ) -> Any:
        """The value of a task for a medium that lasts so many `seconds`, with the errors of `picture`.

        `target` is the file that the task writes, if it writes one.

        Raises:
            MediaError: what the task raises; `BAD_MEASUREMENT`: it returns no JSON; `TASK_FAILED`: a user's task fails.
        """
        job = {"do": "measure", **_named(task), **_plain(work)}
        if target:
            job["params"] = {**work.params, "target": target}
        reply, _ = await self._answer(job, work.path, rules, need=need, long=task.long, more_seconds=task.cost * seconds)
        return reply["value"]

    async def measure_several(
        self, task: Task, works: Sequence[Work], rules: MediaLimits = DEFAULT_RULES, *, need: Need = FOR_ENGINE
    ) -> list[Any]:
        """The values of a brief task for several media, which one worker measures; a `MediaError` in the place of one that fails.

        If the worker does not survive that, each is measured alone.

        Raises:
            EnvironmentFailure: as `picture`.
        """
        every = {"do": "measure", **_named(task), **self._limits(rules)}
        jobs = [{**_plain(work), "folder": _folder(work.path, *work.pictures)} for work in works]
        try:
            async with self._turns.turn(need):
                reply, _ = await self._asked({"do": "several", "every": every, "jobs": jobs}, self._wall_seconds)
        except (TimeoutError, WorkerEnded):
            self._refuse_if_closed()
            found = await asyncio.gather(*(self.measure(task, work, rules, need=need) for work in works), return_exceptions=True)
        else:
            found = [_value(each, work.path) for each, work in zip(reply["replies"], works, strict=True)]
        for each in found:
            if isinstance(each, BaseException) and not isinstance(each, MediaError):
                raise each
        return found

    async def close(self) -> None:
        """Kill all workers. Jobs on their way and jobs asked later fail with an `EnvironmentFailure`."""
        self._closed = True
        while self._idle:
            self._drop(self._idle.pop())
        for worker in self._busy:
            worker.kill()  # who waits for it drops it
        deadline = time.monotonic() + _GONE_WITHIN
        while (self._busy or self._some_left()) and time.monotonic() < deadline:
            await asyncio.sleep(0.005)

    async def _answer(
        self,
        job: dict[str, Any],
        path: str,
        rules: MediaLimits,
        *,
        need: Need = FOR_ENGINE,
        long: bool = False,
        more_seconds: float = 0.0,
    ) -> tuple[dict[str, Any], int | None]:
        job |= {"path": path, "folder": _folder(path, *job["pictures"]), **self._limits(rules, more_seconds)}
        async with self._turns.turn(need, long=long):
            reply, fd = await self._tried(job, path, self._wall_seconds + WALL_FOR_CPU * more_seconds)
        if error := _error(reply, path):
            raise error
        return reply, fd

    def _limits(self, rules: MediaLimits, more_seconds: float = 0.0) -> dict[str, Any]:
        return {"rules": _plain(rules), "cpu_seconds": self._cpu_seconds + more_seconds, "memory": self._memory}

    async def _tried(self, job: dict[str, Any], path: str, wall_seconds: float) -> tuple[dict[str, Any], int | None]:
        crashes = 0
        for attempt in range(TRIES):
            try:
                return await self._asked(job, wall_seconds, fresh=attempt > 0)
            except TimeoutError:
                limit = f"{wall_seconds:g} seconds"
                failure = MediaError("DECODE_TIMEOUT", f"{display_path(path)}: reading it took more than {limit}")
            except WorkerEnded as end:
                crashes += end.status != -signal.SIGPROF
                failure = _failure(path, end, job["cpu_seconds"], twice=crashes == TRIES)
        self._refuse_if_closed()
        failure.attempts = TRIES
        raise failure

    async def _asked(self, job: dict[str, Any], wall_seconds: float, *, fresh: bool = False) -> tuple[dict[str, Any], int | None]:
        """A worker's reply.

        Raises:
            WorkerEnded, TimeoutError: there is none, and the worker is gone.
        """
        worker = await self._worker(fresh=fresh)
        try:
            async with asyncio.timeout(wall_seconds):
                reply = await worker.ask(job)
        except BaseException:
            self._drop(worker)
            raise
        worker.media += len(job.get("jobs", [job]))
        self._busy.remove(worker)
        if worker.media < MOST_MEDIA:
            self._idle.append(worker)
        else:
            self._drop(worker)
        return reply

    async def _worker(self, *, fresh: bool) -> WorkerProcess:
        self._refuse_if_closed()
        self._some_left()
        while self._idle and not fresh:
            worker = self._idle.pop()
            if not worker.gone():
                self._busy.add(worker)
                return worker
            self._drop(worker)
        worker = WorkerProcess()
        self._busy.add(worker)
        try:
            await worker.ready()
        except BaseException:
            self._drop(worker)
            raise
        return worker

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise EnvironmentFailure("nothing more is decoded: the pool of workers is closed")

    def _drop(self, worker: WorkerProcess) -> None:
        worker.close()
        self._busy.discard(worker)
        self._dropped.append(worker)

    def _some_left(self) -> bool:
        """Whether the system still has some of the workers that were killed."""
        self._dropped = [worker for worker in self._dropped if not worker.gone()]
        return bool(self._dropped)


def _failure(path: str, end: WorkerEnded, cpu_seconds: float, *, twice: bool) -> MediaError:
    if end.status == -signal.SIGPROF:
        limit = f"{cpu_seconds:g} CPU seconds"
        return MediaError("DECODE_TIMEOUT", f"{display_path(path)}: reading it took more than {limit}")
    return MediaError("DECODER_CRASHED", f"{display_path(path)}: the decoder crashed ({end})" + ", twice" * twice)


def _error(reply: dict[str, Any], path: str) -> MediaError | EnvironmentFailure | None:
    """What a reply says that went wrong."""
    if "traceback" in reply:
        logger.info("{}: an unexpected exception in a decoding process\n{}", display_path(path), reply["traceback"])
    if "error" in reply:
        return MediaError(**reply["error"])
    return EnvironmentFailure(reply["environment"]) if "environment" in reply else None


def _value(reply: dict[str, Any], path: str) -> Any:
    error = _error(reply, path)
    return reply["value"] if error is None else error


def _named(task: Task) -> dict[str, Any]:
    return {"function": task.function, "foreign": task.name if task.source else ""}


def _plain(settings: Work | MediaLimits) -> dict[str, Any]:
    """The fields as they travel."""
    if isinstance(settings, MediaLimits):
        return vars(settings)
    return {**vars(settings), "span": vars(settings.span)}


def _folder(*paths: str) -> str | None:
    """Where relative paths start from; None if there is none among them."""
    return None if all(map(os.path.isabs, paths)) else str(Path.cwd())


def _fact(value: Any) -> Any:
    """JSON has lists for tuples."""
    return tuple(value) if isinstance(value, list) else value


def usable_cores() -> int:
    """Cores on which this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
