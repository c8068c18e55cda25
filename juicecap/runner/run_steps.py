"""Applies ops one segment after the other, and takes the tables that earlier runs left."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from loguru import logger

from juicecap.data.export import write_export
from juicecap.errors import JuicecapError
from juicecap.ops.apply.table import rejections
from juicecap.recipe import Recipe
from juicecap.runner.loading import LoadedDataset
from juicecap.runner.result import StepResult, answer_facts, sample_facts
from juicecap.runner.retry import earlier_step
from juicecap.runner.segment import Segment, segment_end
from juicecap.runner.step_at_work import RunContext
from juicecap.runner.steps import StepInput, StepOutput, engines_of, media_state
from juicecap.vlm.pipeline import core


def run_steps(
    context: RunContext,
    stage: StepInput,
    numbers: range,
    rejected: Callable[[list[StepOutput], Iterable[dict[str, Any]]], Iterable[dict[str, Any]]],
) -> list[StepOutput]:
    """Apply the ops with these numbers, from 0, to `stage`.

    If that ends early, the records that `rejected` makes of the finished ones, and of those of the others, are written.
    """
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
            failed = recipe.steps[numbers[len(finished)]].name
            logger.bind(event="failed", op=failed).error("{}: {}", failed, error)
            with suppress(JuicecapError):  # such as a full disk, which is being reported already
                context.folder.write_rejected(rejected(finished, segment.rejections() if segment else ()))
            raise
        stage = finished[-1].stage
        again = recipe.steps[numbers.start : segment_end(recipe, numbers.start)] if context.keeps_engines else ()
        core.close_engines(but=engines_of((*recipe.steps[numbers.start + len(finished) :], *again)))
    return finished


def finish(done: StepOutput, finished: list[StepOutput], context: RunContext) -> None:
    """A step is done: log it, and keep it readable if the recipe wants that."""
    finished.append(done)
    _log_step(done.result)
    if context.recipe.keep_steps:
        file = context.folder.step_file(done.step.index + 1, done.step.name, done.stage.fingerprint)
        _keep_readable(done.stage, file, context.recipe.keep_steps, context.folder.owner)


def _keep_readable(stage: StepInput, step_file: Path, format_: str, owner: str) -> None:
    """Write a step's output as a human-readable table, unless an earlier run did."""
    table = step_file.with_suffix(f".{format_}")
    if not os.path.lexists(table):
        write_export(stage.dataset, table, owner=owner)


def all_rejected(
    recipe: Recipe, loaded: LoadedDataset, finished: list[StepOutput], more: Iterable[dict[str, Any]] = ()
) -> Iterator[dict[str, Any]]:
    """The lines of `rejected.jsonl`, and `more` of them. Messages show names of variables, not values; samples are unchanged."""
    hidden = recipe.hidden
    known = (rejections(done.table, done.fates, done.step.name, done.step.op.media_keys()) for done in finished)
    for record in itertools.chain(loaded.rejections(), *known, more):
        yield {**record, "message": hidden.text(record["message"])}


def _log_step(step: StepResult) -> None:
    facts = {"op": step.op, "seconds": round(step.seconds, 3), "finished_before": step.finished_before}
    tally = {"answers": answer_facts(step), "measured": step.measured, "reasons": dict(step.reasons)}
    counts = step.counts
    logger.bind(event="step", **facts, **tally, **sample_facts(counts)).info(
        "{}: {} taken, {} kept, {} filtered, {} rejected, {} given",
        *(step.op, counts.taken, counts.kept, counts.filtered, counts.rejected, counts.given),
    )
