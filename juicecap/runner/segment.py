"""A segment of a run: ops that samples flow through one after the other, without a barrier between them.

Each op leaves its own table with every fate. The tables are written side by side, under temporary names. Each is sealed as soon
as its last fate is in, in the order of the ops. A run that is killed resumes behind the last sealed table, and what was asked
since comes from the journal.

A segment ends before an op that needs the whole dataset, and before one whose engine does not fit beside those that run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from juicecap.ops.apply.applied import stands_alone
from juicecap.ops.apply.stream import Stream
from juicecap.ops.apply.table import Rows, fates_of
from juicecap.runner.citing.answered_by import note
from juicecap.runner.step_at_work import READ_AT_ONCE, RunContext, StepAtWork
from juicecap.runner.steps import StepInput, StepOutput, finished_step, seal, step_fingerprint
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.catalog import spec_of

if TYPE_CHECKING:
    from juicecap.recipe import Recipe, Step


def segment_end(recipe: Recipe, start: int) -> int:
    """The index of the step behind the segment that begins with step `start` (from 0)."""
    first = recipe.steps[start]
    if recipe.pipeline == "off" or stands_alone(first.op):
        return start + 1
    running = _local_engines(first)
    for index in range(start + 1, len(recipe.steps)):
        step = recipe.steps[index]
        more = _local_engines(step)
        if stands_alone(step.op) or (recipe.pipeline == "auto" and running and not more <= running):
            return index
        running |= more
    return len(recipe.steps)


def _local_engines(step: Step) -> set[ModelSettings]:
    return {engine for engine in step.op.engines() if not spec_of(engine).is_remote}


class Segment:
    """Steps from number `first` (from 1) on, from their input to their tables.

    `media_state` is that of the first step, taken before.
    """

    def __init__(self, steps: Sequence[Step], first: int, stage: StepInput, media_state: str, context: RunContext) -> None:
        self._steps, self._first, self._input, self._media_state = list(steps), first, stage, media_state
        self._context = context
        self._at_work: list[StepAtWork] = []

    def run(self) -> Iterator[StepOutput]:
        """The steps, each as soon as it is finished.

        Raises:
            JuicecapError: the run ends early; the tables of those that are `unfinished` have the fates until then.
        """
        self._context.describe_engines(self._first)
        dataset = self._input.dataset.with_format(None)  # a format would hide columns, or change values
        features = dataset.features
        for number, step in enumerate(self._steps, start=self._first):
            samples = None if self._at_work else len(dataset)
            work = StepAtWork(step, number, features, self._context, samples=samples)
            self._at_work.append(work)
            work.report_start()
            if samples is not None:
                self._context.foresee(step, dataset)
            features = work.output_features
        rows = Rows(dataset, READ_AT_ONCE)
        if len(self._at_work) == 1:
            self._at_work[0].take_all(rows)
        else:
            works = {work.stage: work for work in self._at_work}
            with Stream(list(works), rows, self._context.journal, self._context.folder.media) as stream:
                for stage, fates in stream:
                    outputs = works[stage].take(fates, passed_on=stage is not stream.stages[-1])
                    while self._at_work and self._at_work[0].stage.over:
                        yield self._finish_first()
                    stream.pass_on(stage, outputs)
        while self._at_work:
            yield self._finish_first()

    @property
    def unfinished(self) -> Sequence[StepAtWork]:
        """The steps that are not finished, in order."""
        return self._at_work

    def _finish_first(self) -> StepOutput:
        work = self._at_work[0]
        if self._context.journal:
            self._context.journal.flush()
        unfinished = work.complete()
        is_first = work.number == self._first
        media_state = self._media_state if is_first else work.state.digest(self._input.dataset.column_names)
        fingerprint = step_fingerprint(work.step, self._input.fingerprint, media_state, keep_failed=work.keeps_failed)
        file = self._context.folder.step_file(work.number, work.step.name, fingerprint)
        note(file, work.stats.answered_by())
        table = seal(unfinished, file, fingerprint)
        fates = fates_of(table)
        done = finished_step(work.step, self._input, table, fates, fingerprint, work.result(fates))
        self._context.reporter.ended(work.number, done.result)
        self._input = done.stage
        del self._at_work[0]
        return done
