"""Tables of shards, one behind the other, as tables of one run.

A merged table gets the name that one run would have given it, if what the shards saw (media, model files) is seen here in the
same state: then a later run of the recipe takes it. Elsewhere it gets a name that no run looks for, and a later run replays the
journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.table import CHUNK, open_arrow, open_cached, write_arrow
from juicecap.errors import DataError
from juicecap.ops.apply.table import fates_of
from juicecap.recipe.shards import Phase, Shard, all_shards
from juicecap.runner.citing.answered_by import note, together
from juicecap.runner.citing.answered_by import noted as noted_engines
from juicecap.runner.result import StepResult
from juicecap.runner.run_steps import finish
from juicecap.runner.shards.record import Record, StepRecord, summed, worked
from juicecap.runner.shards.work import shard_input
from juicecap.runner.step_at_work import RunContext
from juicecap.runner.steps import MediaState, StepInput, StepOutput, columns_read, finished_step, step_fingerprint
from juicecap.vlm.base import digest_of
from juicecap.vlm.pipeline.resources.engine_stats import AnsweredBy

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from juicecap.recipe import Step


def merged_steps(
    context: RunContext, phase: Phase, records: Sequence[Record], stage: StepInput, finished: list[StepOutput]
) -> StepInput:
    """Make one table of the shards' tables for each op of the phase, put the steps behind `finished`, and return their output.

    Raises:
        DataError: a table is missing, damaged or of other samples; or one cannot be written.
        EnvironmentFailure: the disk is full.
    """
    shards = all_shards(len(records))
    inputs = [shard_input(phase, shard, stage.fingerprint) for shard in shards]
    for place, step in enumerate(context.recipe.steps[phase.start : phase.barrier]):
        noted = [record.steps[place] for record in records]
        files = [context.folder.shard(shard).steps / each.table for shard, each in zip(shards, noted, strict=True)]
        tables = [_table(context, *each) for each in zip(shards, files, noted, strict=True)]
        fingerprint = _fingerprint(context, step, stage, inputs, noted)
        answered_by = together(map(noted_engines, files))
        done = _merged(context, step, stage, tables, noted, fingerprint, answered_by)
        finish(done, finished, context)
        stage, inputs = done.stage, [each.output for each in noted]
    return stage


def _table(context: RunContext, shard: Shard, file: Path, noted: StepRecord) -> Dataset:
    """A shard's table, if it is what the shard noted."""
    table = open_cached(file, noted.fingerprint)
    if table is not None:
        fates = fates_of(table)
        output = digest_of([noted.fingerprint, fates.state]) if fates.state else noted.fingerprint
        if (output, fates.counts.taken) == (noted.output, noted.taken):
            return table
    raise DataError(
        f"{file} is missing, damaged or not finished, so shard {shard} cannot be merged. Nothing was written; "
        f"juicecap run {context.recipe.path} --shard {shard}"
    )


def _fingerprint(context: RunContext, step: Step, stage: StepInput, inputs: Sequence[str], noted: Sequence[StepRecord]) -> str:
    """The fingerprint of the merged table: that of one run, if the shards saw what is seen here."""
    keep_failed = context.on_error(step) == "keep"
    whole, there, first, proven = MediaState(step.op), stage.dataset.column_names, 0, True
    for input_, each in zip(inputs, noted, strict=True):
        own, end = MediaState(step.op), min(first + each.taken, len(stage.dataset))
        if step.op.media_columns() and (columns := columns_read(step.op, there)):
            for sample in stage.dataset.select(range(first, end)).select_columns(columns):
                own.add(sample)
                whole.add(sample)
        proven &= each.fingerprint == step_fingerprint(step, input_, own.digest(there), keep_failed=keep_failed)
        first = end
    if proven:
        return step_fingerprint(step, stage.fingerprint, whole.digest(there), keep_failed=keep_failed)
    return digest_of(["merged", *(each.output for each in noted)])


def _merged(
    context: RunContext,
    step: Step,
    before: StepInput,
    tables: Sequence[Dataset],
    noted: Sequence[StepRecord],
    fingerprint: str,
    answered_by: AnsweredBy,
) -> StepOutput:
    number = step.number
    schema = tables[0].data.schema
    if not all(schema.equals(table.data.schema) for table in tables) or sum(each.taken for each in noted) != len(before.dataset):
        raise DataError(f"the shards' tables of {step.label} do not fit together; run the shards again with --fresh")
    context.reporter.started(step.name, number, len(before.dataset), asks=step.op.uses_model(), finished=True)
    file = context.folder.step_file(number, step.name, fingerprint)
    write_arrow(file, schema, _batches(tables))
    table = open_arrow(file, fingerprint)
    fates, work = fates_of(table), summed([each.work for each in noted])
    note(file, answered_by)
    result = StepResult(
        op=step.name,
        number=number,
        counts=fates.counts,
        seconds=0.0,
        finished_before=True,
        reasons=fates.reasons,
        answered_by=answered_by,
    )
    result = worked(result, work)
    context.reporter.ended(number, result)
    return finished_step(step, before, table, fates, fingerprint, result)


def _batches(tables: Sequence[Dataset]) -> Iterator[pa.RecordBatch]:
    for table in tables:
        yield from table.data.table.to_batches(max_chunksize=CHUNK)
