"""One op at work: its samples become fates, and these its table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from juicecap.data.table import chunks, open_arrow
from juicecap.data.table_writer import TableWriter, without_fates
from juicecap.errors import JuicecapError, SampleError
from juicecap.ops.apply.applied import stands_alone
from juicecap.ops.apply.fate import Fate, rows_of
from juicecap.ops.apply.stream import AT_ONCE, Stage, Stream
from juicecap.ops.apply.table import Fates, Rows, table_features
from juicecap.ops.options.run_options import OnError
from juicecap.ops.whole_dataset import Deduplicator
from juicecap.runner.failure_guard import FailureGuard
from juicecap.runner.reporting.reporter import AtWork, Reporter
from juicecap.runner.result import StepResult
from juicecap.runner.steps import MediaState
from juicecap.runner.times import Stopwatch, outside
from juicecap.sample import FATE, Sample
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline.resources.engine_stats import EngineStats

if TYPE_CHECKING:
    from datasets import Dataset, Features

    from juicecap.recipe import Recipe, Step
    from juicecap.runner.run_folder.folder import RunFolder

READ_AT_ONCE = 100
"""Rows of the input that are read at once."""

COUNTED_FOR = 5.0
"""Seconds for counting, before an op, the answers that the journal has for it: enough for tens of thousands of samples."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """What the steps of a run have in common.

    `allowed` samples may be rejected; `end` is the number of ops that may come to run, if not all; `keeps_engines`: the engines
    of the first segment stay open.
    """

    recipe: Recipe
    folder: RunFolder
    reporter: Reporter
    journal: Journal | None
    stopwatch: Stopwatch
    allowed: int
    use_cache: bool
    retry_rejected: bool
    end: int | None = None
    keeps_engines: bool = False
    signatures: Mapping[int, Iterable[str | SampleError]] = field(default_factory=dict)
    """Signatures of samples that are known to deduplicators, by the number of the op (from 1)."""

    def on_error(self, step: Step) -> OnError:
        """What happens to a sample on which this op fails."""
        return step.options.at_failure or self.recipe.on_error

    def describe_engines(self, number: int) -> None:
        """What is wrong with an engine of step `number` (from 1) or a later one is told before the first sample is touched."""
        with self.stopwatch.starting_up():
            for step in self.recipe.steps[number - 1 : self.end]:
                step.op.describe_engines(self.journal)

    def foresee(self, step: Step, dataset: Dataset) -> None:
        """Report how many answers the journal has for these samples, if it has any."""
        if self.journal is None or self.journal.empty():
            return
        if forecast := step.op.forecast(Rows(dataset, READ_AT_ONCE), self.journal, COUNTED_FOR):
            replayed, asked, shared = forecast.replayed, forecast.asked, forecast.shared
            told = "{}: {} answers are in the journal, {} are to be asked, {} equal ones are shared"
            logger.info(told, step.label, replayed, asked, shared)
            self.reporter.forecast(replayed, asked, shared=shared, whole=forecast.whole)


class StepAtWork:
    """One op on its way from samples to its table, which is written under a temporary name.

    `samples` is their number, where it is known. `attempts` has the number of earlier attempts at each.
    """

    def __init__(
        self,
        step: Step,
        number: int,
        before: Features,
        context: RunContext,
        *,
        samples: int | None,
        attempts: Sequence[int] = (),
        guarded: bool = True,
    ) -> None:
        self.step, self.number, self._context, self._samples = step, number, context, samples
        self.keeps_failed = context.on_error(step) == "keep"
        features = table_features(step.op, before, keep_failed=self.keeps_failed)
        self.output_features = without_fates(features)
        self.stats = EngineStats()
        context.stopwatch.watch(self.stats.openings)
        self.state = MediaState(step.op)
        self._began = time.monotonic()
        self._ended: float | None = None
        self._taken = 0
        self._writer = TableWriter(context.folder.scratch / f"{number:02d}-{step.name}.arrow", features)
        self._guard = FailureGuard(step, context.on_error(step), allowed=context.allowed) if guarded else None
        self._attempts = iter(attempts)
        self.stage = Stage(
            step.op,
            step.op.limits(step.options.batch_size),
            entered=self.state.add if samples is None else None,
            left=self._judged,
            stats=self.stats,
            held=self._guard.begin(context.journal) if self._guard else None,
        )

    def report_start(self) -> None:
        """Report that the step begins."""
        at_work = AtWork(self.stats, lambda: self.stage.count)
        self._context.reporter.started(
            self.step.name, self.number, self._samples, asks=self.step.op.uses_model(), at_work=at_work
        )

    def _judged(self, fate: Fate) -> Fate:
        """The fate as it counts: with earlier attempts added, and kept if failed samples stay."""
        fate = fate.tried_before(next(self._attempts, 0))
        return fate.staying(self.step.label) if self.keeps_failed else fate

    def take_all(self, rows: Rows) -> None:
        """Apply the op alone, to all samples.

        Raises:
            JuicecapError: as `take`; or an engine cannot be opened, or died.
        """
        op = self.step.op
        if stands_alone(op):
            signatures = self._context.signatures.get(self.number)
            if signatures is not None and isinstance(op, Deduplicator):
                fates = op.selected(rows, op.decide(signatures))
            else:
                fates = op.stream(rows, self.step.options.batch_size, self._context.journal)
            for some in chunks(map(self._judged, fates), AT_ONCE):
                self.take(some)
            return
        with Stream([self.stage], rows, self._context.journal, self._context.folder.media) as stream:
            for _, some in stream:
                self.take(some)

    def take(self, fates: Sequence[Fate], *, passed_on: bool = False) -> list[Sample]:
        """Write fates into the table, and count them; returns their output samples, if they are `passed_on`.

        Raises:
            DataError, EnvironmentFailure: the run ends early (`FailureGuard`), or the table cannot be written.
        """
        fates, ended = self._observed(fates)
        rows = rows_of(fates, list(self.output_features))
        kept = [number for number, row in enumerate(rows) if row[FATE]["kind"] == "kept"] if passed_on else []
        outputs = self._writer.add(rows, kept)
        for fate in fates:
            self._context.reporter.count(self.number, fate)
        if ended:
            raise ended
        return outputs

    def _observed(self, fates: Sequence[Fate]) -> tuple[Sequence[Fate], JuicecapError | None]:
        """The fates up to the one that ends the run, and the error with which it does."""
        for number, fate in enumerate(fates, start=1):
            self._taken += 1
            more = self._taken < self._samples if self._samples is not None else number < len(fates) or self.stage.count > 0
            try:
                if self._guard:
                    self._guard.observe(fate, more=more)
            except JuicecapError as error:
                return fates[:number], error
        return fates, None

    def complete(self) -> Path:
        """All fates are in: end the table's file.

        Raises:
            EnvironmentFailure: all samples failed, and the environment is to blame; or the disk is full.
        """
        self._ended = time.monotonic()
        if self._guard:
            self._guard.end()
        self._writer.close()
        return self._writer.path

    def unfinished_table(self) -> Dataset:
        """The table as far as it has come. It cannot be gone on with."""
        self._writer.close()
        return open_arrow(self._writer.path, "unfinished")

    def result(self, fates: Fates, tried_again: int = 0) -> StepResult:
        """The result of the step, whose table has these fates."""
        stats = self.stats.read()
        began, ended = self.stage.began or self._began, self._ended or time.monotonic()
        return StepResult(
            op=self.step.name,
            number=self.number,
            counts=fates.counts,
            reasons=fates.reasons,
            seconds=outside([(began, ended)], self._context.stopwatch.start_up),
            finished_before=False,
            tried_again=tried_again,
            answers=stats.answers,
            measured=stats.measured,
            measured_before=stats.measured_before,
            answered_by=self.stats.answered_by(),
        )
