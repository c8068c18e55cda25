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
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
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
from juicecap.vlm.cluster.engine_status import EngineStatus
from juicecap.vlm.pipeline.resources.engine_stats import EngineStats, StatsSnapshot

LOOKED_AT, WRITTEN = 0.5, 1.0
"""Seconds between two looks at the counts, and between two writings of files."""

WINDOW = 30.0
"""Seconds over which rates are taken."""


class _Moment(NamedTuple):
    time: float
    done: int
    stats: StatsSnapshot


@dataclass(frozen=True)
class AtWork:
    """What is read of a step while it runs: the statistics of its requests, and how many samples are inside."""

    stats: EngineStats = field(default_factory=EngineStats)
    inside: Callable[[], int] = lambda: 0


class _Step:
    """The counts of a step that runs; `before` is the one that its samples come from, if that runs as well."""

    def __init__(
        self, op: str, number: int, samples: int | None, at_work: AtWork, before: _Step | None, *, asks: bool, finished: bool
    ) -> None:
        self.op, self.number, self.asks, self.finished_before = op, number, asks, finished
        self._samples, self._at_work, self._before = samples, at_work, before
        self.began = time.monotonic()
        self.done = self.filtered = self.rejected = self.captions = self.given = 0
        self.moments = deque([self.now()])

    @property
    def samples(self) -> int:
        """Its input samples; as long as those before it are at work, what they gave and one for each that they have not done."""
        if self._samples is None and self._before:
            return self._before.given + self._before.samples - self._before.done
        return self._samples or 0

    def count(self, fate: Fate) -> None:
        """Count the next fate."""
        self.done += 1
        self.filtered += fate.kind == "filtered"
        self.rejected += fate.kind == "rejected"
        self.captions += fate.usage.captions
        self.given += len(fate.outputs)

    def now(self) -> _Moment:
        """The counts of this moment."""
        return _Moment(time.monotonic(), self.done, self._at_work.stats.read())

    def running(self) -> StepStatus:
        """The step as it is now, with the rates of the last half minute."""
        now = self.now()
        while len(self.moments) > 1 and self.moments[1].time <= now.time - WINDOW:
            self.moments.popleft()
        status = self.between(self.moments[0], now)
        self.moments.append(now)
        left, average = self.samples - self.done, self.done / max(now.time - self.began, 1e-9)
        rate = status.samples_per_second or average
        return replace(status, eta_seconds=round(left / rate, 1) if rate else None)

    def whole(self, result: StepResult) -> StepStatus:
        """The finished step: the counts of its table, and its rates over the whole step."""
        now, counts = self.now(), result.counts
        status = self.between(_Moment(now.time - result.seconds, 0, StatsSnapshot()), now)
        facts = {"filtered": counts.filtered, "rejected": counts.rejected, "captions": counts.captions}
        if self.finished_before or result.tried_again:
            facts |= {"samples": counts.taken, "done": counts.taken}
        return replace(
            status,
            state="done before" if self.finished_before else "done",
            seconds=round(result.seconds, 3),
            **facts,  # type: ignore[arg-type]  # all are int
        )

    def between(self, earlier: _Moment, now: _Moment) -> StepStatus:
        """The step as it is now, with rates since an earlier moment."""
        seconds = max(now.time - earlier.time, 1e-9)
        stats, then = now.stats, earlier.stats
        answers, before = stats.answers, then.answers
        busy = (stats.busy_seconds - then.busy_seconds) / seconds
        return StepStatus(
            op=self.op,
            number=self.number,
            state="running",
            samples=self.samples,
            inside=self._at_work.inside(),
            done=self.done,
            filtered=self.filtered,
            rejected=self.rejected,
            captions=self.captions,
            asked=answers.asked,
            shared=answers.shared,
            replayed=answers.replayed,
            unanswered=answers.failed,
            prompt_tokens=answers.prompt_tokens,
            completion_tokens=answers.completion_tokens,
            in_flight=stats.in_flight if self.asks else 0,
            seconds=round(now.time - self.began, 3),
            samples_per_second=round((now.done - earlier.done) / seconds, 3),
            captions_per_second=round((answers.asked - before.asked) / seconds, 3),
            prompt_tokens_per_second=round((answers.prompt_tokens - before.prompt_tokens) / seconds, 3),
            completion_tokens_per_second=round((answers.completion_tokens - before.completion_tokens) / seconds, 3),
            engine_busy=round(min(1.0, busy), 4) if self.asks else None,
            engine_seconds=round(stats.busy_seconds, 3),
        )


class Reporter:
    """A context manager for the time of a run that holds its folder. `metrics` is the path of the metrics file, if any."""

    def __init__(
        self,
        recipe: Recipe,
        work_dir: Path,
        output: Path,
        progress: Progress,
        metrics: Path | None,
        *,
        began: float,
        fresh: bool = False,
    ) -> None:
        """`began`: when the run's command did, as `time.monotonic` has it."""
        self._progress = progress
        self._metrics = metrics
        self._began = began
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
            fresh=fresh,
        )
        self._running: dict[int, _Step] = {}
        self._engines: Callable[[], Sequence[EngineStatus]] = tuple
        self._ended: list[StepStatus] = []
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

    def phase(self, state: State, *, samples: int | None = None, engines: Callable[[], Sequence[EngineStatus]] = tuple) -> None:
        """Set what the run does now, the number of samples that were read, and how to look at the engines of a cluster."""
        with self._lock:
            self._engines = engines
            self._run = replace(self._run, state=state, samples=samples if samples is not None else self._run.samples)

    def started(
        self, op: str, number: int, samples: int | None, *, asks: bool, at_work: AtWork | None = None, finished: bool = False
    ) -> None:
        """Step `number` begins, with so many samples; None: with those that the step before it gives, which is at work as well.

        `finished`: an earlier run has done it.
        """
        with self._lock:
            before = self._running.get(number - 1)
            step = _Step(op, number, samples, at_work or AtWork(), before, asks=asks, finished=finished)
            self._running[number] = step
            self._progress.started(op, number, self._run.step_count, step.samples, finished=finished)

    def forecast(self, replayed: int, asked: int, *, shared: int, whole: bool) -> None:
        """Pass on how many answers are replayed, shared, and to be asked (`Progress.foreseen`)."""
        with self._lock:
            self._progress.foreseen(replayed, asked, shared=shared, whole=whole)

    def count(self, number: int, fate: Fate) -> None:
        """Count the next fate of step `number`."""
        if self._failure:
            raise self._failure
        self._running[number].count(fate)

    def ended(self, number: int, result: StepResult) -> None:
        """Step `number` is done."""
        with self._lock:
            step = self._running.pop(number).whole(result)
            self._ended.append(step)
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
        steps = (*self._ended, *(step.running() for step in self._running.values()))
        seconds, engines = round(time.monotonic() - self._began, 3), tuple(self._engines())
        self._run = replace(self._run, updated=_now(), seconds=seconds, steps=steps, engines=engines)


def _how(error: BaseException) -> tuple[State, int]:
    if isinstance(error, JuicecapError):
        return "failed", error.exit_code
    return ("interrupted", 130) if isinstance(error, KeyboardInterrupt) else ("failed", 70)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
