"""Applies ops one segment after the other, and takes the tables that earlier runs left."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from loguru import logger

from juicecap.data.export import write_export
from juicecap.errors import JuicecapError
from juicecap.runner.lost_samples import LostSamples, limits
from juicecap.runner.result import StepResult, answer_facts, sample_facts
from juicecap.runner.retry import earlier_step
from juicecap.runner.run_folder.steps_file import NotedStep, note_step
from juicecap.runner.segment import Segment, segment_end
from juicecap.runner.step_at_work import RunContext
from juicecap.runner.steps import StepInput, StepOutput, engines_of, media_state
from juicecap.vlm.pipeline import core


def run_steps(context: RunContext, stage: StepInput, numbers: range, lost: LostSamples) -> list[StepOutput]:
    """Apply the ops with these numbers, from 0, to `stage`. If that ends early, the samples that were `lost` are written down."""
    recipe, finished = context.recipe, list[StepOutput]()
    while len(finished) < len(numbers):
        index = numbers[len(finished)]
        segment: Segment | None = None
        try:
            step = recipe.steps[index]
            state = media_state(step.op, stage.dataset)
            if done := earlier_step(step, index + 1, stage, state, context):
                finish(done, finished, context)
            else:
                end = min(segment_end(recipe, index), numbers.stop)
                segment = Segment(recipe.steps[index:end], index + 1, stage, state, context)
                for done in segment.run():
                    finish(done, finished, context)
        except JuicecapError as error:
            failed = recipe.steps[numbers[len(finished)]]
            logger.bind(event="failed", op=failed.name, number=failed.number).error("{}: {}", failed.label, error)
            with suppress(JuicecapError):  # such as a full disk, which is being reported already
                lost.write(context.folder, finished, segment.unfinished if segment else ())
            raise
        except KeyboardInterrupt:  # at any moment: what is unfinished may be in the middle of a write
            with suppress(JuicecapError):
                lost.write(context.folder, finished)
            raise
        stage = finished[-1].stage
        again = recipe.steps[numbers.start : segment_end(recipe, numbers.start)] if context.keeps_engines else ()
        core.close_engines(but=engines_of((*recipe.steps[numbers.start + len(finished) :], *again)))
    return finished


def finish(done: StepOutput, finished: list[StepOutput], context: RunContext) -> None:
    """A step is done: log it, note it in the run folder, and keep it readable if the recipe wants that."""
    finished.append(done)
    note_step(context.folder.root, _noted(done, context))
    _log_step(done.result)
    if context.recipe.keep_steps:
        file = context.folder.step_file(done.step.number, done.step.name, done.stage.fingerprint)
        _keep_readable(done.stage, file, context.recipe.keep_steps, context.folder.owner)


def _noted(done: StepOutput, context: RunContext) -> NotedStep:
    table = context.folder.step_file(done.step.number, done.step.name, done.table._fingerprint)  # noqa: SLF001  (there is no public name for it)
    return NotedStep(
        number=done.step.number,
        op=done.step.name,
        table=table.name,
        wanted=limits(done.step, context.recipe.hidden),
        counts=asdict(done.fates.counts),
        reasons=dict(done.fates.reasons),
    )


def _keep_readable(stage: StepInput, step_file: Path, format_: str, owner: str) -> None:
    """Write a step's output as a human-readable table, unless an earlier run did."""
    table = step_file.with_suffix(f".{format_}")
    if not os.path.lexists(table):
        write_export(stage.dataset, table, owner=owner)


def _log_step(step: StepResult) -> None:
    facts = {"op": step.op, "number": step.number, "seconds": round(step.seconds, 3), "finished_before": step.finished_before}
    tally = {"answers": answer_facts(step), "measured": step.measured, "reasons": dict(step.reasons)}
    counts = step.counts
    logger.bind(event="step", **facts, **tally, **sample_facts(counts)).info(
        "{}: {} taken, {} kept, {} filtered, {} rejected, {} given",
        *(step.label, counts.taken, counts.kept, counts.filtered, counts.rejected, counts.given),
    )
