"""Keeps the figures of a run while it goes on, and reports them: to a `Progress`, to `status.json`, and to a metrics file.

The run only counts. A thread reads the counts twice a second, computes rates, and reports. So the cost does not depend on the
number of samples, and a slow terminal does not slow the run down.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from loguru import logger

from juicecap.errors import JuicecapError
from juicecap.ops.apply.fate import Fate
from juicecap.recipe import Recipe
from juicecap.runner.reporting.metrics import write_metrics
from juicecap.runner.reporting.progress import Progress
from juicecap.runner.reporting.status import RunStatus, State, StepStatus, write_status
from juicecap.runner.result import RunResult, StepResult
from juicecap.vlm.pipeline.resources.engine_stats import ENGINE_STATS, StatsSnapshot

LOOKED_AT, WRITTEN = 0.5, 1.0
"""Seconds between two looks at the counts, and between two writings of files."""

WINDOW = 30.0
"""Seconds over which rates are taken."""


class _Moment(NamedTuple):
    time: float
    done: int
    reading: StatsSnapshot


@dataclass(kw_only=True)
class _Step:
    """The counts of the step that runs."""

    op: str
    number: int
    samples: int
    asks: bool
    began: float
    before: StatsSnapshot
    finished_before: bool
    done: int = 0
    filtered: int = 0
    rejected: int = 0
    captions: int = 0

    def count(self, fate: Fate) -> None:
        self.done += 1
        self.filtered += fate.kind == "filtered"
        self.rejected += fate.kind == "rejected"
        self.captions += fate.usage.captions


class Reporter:
    """A context manager for the time of a run that holds its folder. `metrics` is the path of the metrics file, if any."""

    def __init__(self, recipe: Recipe, work_dir: Path, output: Path, progress: Progress, metrics: Path | None) -> None:
        self._progress = progress
        self._metrics = metrics
        self._began = time.monotonic()
        now = _now()
        self._run = RunStatus(
            state="loading",
            recipe=os.path.abspath(recipe.path),
            export_path=os.path.abspath(output),
            work_dir=os.path.abspath(work_dir),
            working_directory=str(Path.cwd()),
            pid=os.getpid(),
            host=socket.gethostname(),
            started=now,
            updated=now,
            seconds=0.0,
            steps=(),
            step_count=len(recipe.steps),
        )
        self._step: _Step | None = None
        self._ended: list[StepStatus] = []
        self._moments: deque[_Moment] = deque()
        self._written = -WRITTEN
        self._warned = False
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="juicecap-reporter", daemon=True)

    def __enter__(self) -> Self:
        if self._metrics:
            self._write_metrics(self._metrics)
        self._write()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Report how the run ended, if `finished` has not."""
        self._stop.set()
        self._thread.join()
        if error is not None:
            state, code = _how(error)
            message = str(error) if isinstance(error, JuicecapError) else ""
            self._run = replace(self._run, state=state, exit_code=code, message=message)
        with suppress(JuicecapError):  # such as a full disk, which is being reported already
            self._write()
        if error is None:
            self._progress.reported(self._run)

    def phase(self, state: State, *, samples: int | None = None) -> None:
        """Set what the run does now, and the number of samples that were read."""
        with self._lock:
            self._run = replace(self._run, state=state, samples=samples if samples is not None else self._run.samples)

    def started(self, op: str, number: int, samples: int, *, asks: bool, finished: bool) -> None:
        """A step begins."""
        with self._lock:
            now, reading = time.monotonic(), ENGINE_STATS.read()
            self._step = _Step(
                op=op, number=number, samples=samples, asks=asks, began=now, before=reading, finished_before=finished
            )
            self._moments = deque([_Moment(now, 0, reading)])
            self._progress.started(op, number, self._run.step_count, samples, finished=finished)

    def forecast(self, replayed: int, asked: int, *, whole: bool) -> None:
        """Pass on how many answers are replayed and how many are to be asked (`Progress.foreseen`)."""
        with self._lock:
            self._progress.foreseen(replayed, asked, whole=whole)

    def count(self, fate: Fate) -> None:
        """Count the fate of the next sample."""
        if self._failure:
            raise self._failure
        assert self._step
        self._step.count(fate)

    def ended(self, result: StepResult) -> None:
        """The step is done."""
        with self._lock:
            assert self._step
            step = self._whole(self._step, result)
            self._ended.append(step)
            self._step = None
            self._progress.ended(step)

    def finished(self, result: RunResult) -> None:
        """The run is done, and its output is written."""
        with self._lock:
            self._run = replace(self._run, state="done", exported=result.exported, exit_code=result.exit_code)

    def engine_seconds(self) -> list[float]:
        """Seconds during which engines had requests, for each step that ended."""
        return [step.engine_seconds for step in self._ended]

    def _watch(self) -> None:
        """The thread."""
        while not self._stop.wait(LOOKED_AT):
            try:
                with self._lock:
                    self._tick()
            except BaseException as error:  # noqa: BLE001  (it is raised in the run)
                self._failure = error
                return

    def _tick(self) -> None:
        if time.monotonic() - self._written >= WRITTEN:
            try:
                self._write()
            except JuicecapError as error:  # the run itself goes on
                if not self._warned:
                    logger.warning("{}", error)
                self._warned = True
        else:
            self._update()
        self._progress.reported(self._run)

    def _write(self) -> None:
        self._update()
        self._written = time.monotonic()
        write_status(self._run)
        if self._metrics:
            self._write_metrics(self._metrics)

    def _write_metrics(self, path: Path) -> None:
        write_metrics(path, self._run, str(os.getpid()))

    def _update(self) -> None:
        steps = (*self._ended, *([self._running(self._step)] if self._step else []))
        self._run = replace(self._run, updated=_now(), seconds=round(time.monotonic() - self._began, 3), steps=steps)

    def _running(self, step: _Step) -> StepStatus:
        now = _Moment(time.monotonic(), step.done, ENGINE_STATS.read())
        while len(self._moments) > 1 and self._moments[1].time <= now.time - WINDOW:
            self._moments.popleft()
        status = _between(step, self._moments[0], now)
        self._moments.append(now)
        left, average = step.samples - step.done, step.done / max(now.time - step.began, 1e-9)
        rate = status.samples_per_second or average
        return replace(status, eta_seconds=round(left / rate, 1) if rate else None)

    def _whole(self, step: _Step, result: StepResult) -> StepStatus:
        """A finished step: the counts of its table, and its rates over the whole step."""
        now = _Moment(time.monotonic(), step.done, ENGINE_STATS.read())
        status = _between(step, _Moment(step.began, 0, step.before), now)
        counts = result.counts
        facts = {"filtered": counts.filtered, "rejected": counts.rejected, "captions": counts.captions}
        if step.finished_before or result.tried_again:
            facts |= {"samples": counts.taken, "done": counts.taken}
        return replace(
            status,
            state="done before" if step.finished_before else "done",
            **facts,  # type: ignore[arg-type]  # all are int
        )


def _between(step: _Step, earlier: _Moment, now: _Moment) -> StepStatus:
    """The step as it is now, with rates since an earlier moment."""
    seconds = max(now.time - earlier.time, 1e-9)
    then, reading = earlier.reading, now.reading
    busy = (reading.busy_seconds - then.busy_seconds) / seconds
    return StepStatus(
        op=step.op,
        number=step.number,
        state="running",
        samples=step.samples,
        done=step.done,
        filtered=step.filtered,
        rejected=step.rejected,
        captions=step.captions,
        replayed=reading.replayed - step.before.replayed,
        answered=reading.answers - step.before.answers,
        prompt_tokens=reading.prompt_tokens - step.before.prompt_tokens,
        completion_tokens=reading.completion_tokens - step.before.completion_tokens,
        in_flight=reading.in_flight if step.asks else 0,
        seconds=round(now.time - step.began, 3),
        samples_per_second=round((now.done - earlier.done) / seconds, 3),
        captions_per_second=round((reading.answers - then.answers) / seconds, 3),
        prompt_tokens_per_second=round((reading.prompt_tokens - then.prompt_tokens) / seconds, 3),
        completion_tokens_per_second=round((reading.completion_tokens - then.completion_tokens) / seconds, 3),
        engine_busy=round(min(1.0, busy), 4) if step.asks else None,
        engine_seconds=round(reading.busy_seconds - step.before.busy_seconds, 3),
    )


def _how(error: BaseException) -> tuple[State, int]:
    if isinstance(error, JuicecapError):
        return "failed", error.exit_code
    return ("interrupted", 130) if isinstance(error, KeyboardInterrupt) else ("failed", 70)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
