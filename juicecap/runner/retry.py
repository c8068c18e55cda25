"""Steps that an earlier run finished: taken as they are, or with the samples retried that failed.

The table of such a step gets the new rows of these samples in place of the old ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from juicecap.data.table import CHUNK, open_arrow, open_cached, write_arrow
from juicecap.ops.apply.table import Failed, Fates, Rows, fates_of
from juicecap.ops.whole_dataset import WholeDatasetOp
from juicecap.runner.citing.answered_by import note, noted, together
from juicecap.runner.failure_guard import FailureGuard
from juicecap.runner.result import StepResult
from juicecap.runner.step_at_work import READ_AT_ONCE, RunContext, StepAtWork
from juicecap.runner.steps import StepInput, StepOutput, finished_step, step_fingerprint
from juicecap.sample import FATE

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from juicecap.ops.base import Op
    from juicecap.recipe import Step


def earlier_step(step: Step, number: int, before: StepInput, media_state: str, context: RunContext) -> StepOutput | None:
    """The step as an earlier run left it, if one did.

    Samples that failed for a temporary reason are retried, under `retry_rejected` all that failed. If the op compares samples,
    the whole dataset must be processed again, and there is no such step.

    Raises:
        JuicecapError: the retry ends early, or the step has failures under `on_error: stop`.
    """
    if not context.use_cache:
        return None
    keep_failed = context.on_error(step) == "keep"
    fingerprint = step_fingerprint(step, before.fingerprint, media_state, keep_failed=keep_failed)
    file = context.folder.step_file(number, step.name, fingerprint)
    table = open_cached(file, fingerprint)
    if table is None:
        return None
    fates = fates_of(table)
    again = to_try_again(step.op, fates, permanent=context.retry_rejected)
    if again and isinstance(step.op, WholeDatasetOp):
        return None
    if again:
        work = _retried(step, number, before, again, context)
        write_arrow(file, table.data.schema, merged(table, again, open_arrow(work.complete(), fingerprint)))
        table = open_arrow(file, fingerprint)
        fates = fates_of(table)
        result = work.result(fates, tried_again=len(again))
        result = replace(result, answered_by=together([noted(file), result.answered_by]))
        note(file, result.answered_by)
    else:
        samples = len(before.dataset)
        context.reporter.started(step.name, number, samples, asks=step.op.uses_model(), finished=True)
        result = StepResult(
            op=step.name,
            number=number,
            counts=fates.counts,
            reasons=fates.reasons,
            seconds=0.0,
            finished_before=True,
            answered_by=noted(file),
        )
    FailureGuard(step, context.on_error(step), allowed=context.allowed).check(table, fates)
    context.reporter.ended(number, result)
    return finished_step(step, before, table, fates, fingerprint, result)


def _retried(step: Step, number: int, before: StepInput, again: Sequence[Failed], context: RunContext) -> StepAtWork:
    """The op applied to the samples that failed."""
    context.describe_engines(number)
    failed = before.dataset.with_format(None).select([each.sample for each in again])
    attempts = [each.attempts for each in again]
    work = StepAtWork(step, number, failed.features, context, samples=len(again), attempts=attempts, guarded=False)
    work.report_start()
    context.foresee(step, failed)
    work.take_all(Rows(failed, READ_AT_ONCE))
    if context.journal:
        context.journal.flush()
    return work


def to_try_again(op: Op, fates: Fates, *, permanent: bool) -> list[Failed]:
    """The samples to try again; with `permanent` those that will never succeed as well.

    If the op compares samples, all failed ones are returned: the whole dataset must be processed again.
    """
    again = [failed for failed in fates.failed if permanent or failed.retryable]
    return list(fates.failed) if again and isinstance(op, WholeDatasetOp) else again


def merged(table: Dataset, again: Sequence[Failed], fresh: Dataset) -> Iterator[pa.RecordBatch]:
    """The rows of `table` in order, with those of `fresh` (the table of the samples `again`) in place of theirs."""
    import pyarrow as pa

    rows = 0
    waiting: list[Any] = []
    for part in _parts(table.data, again, fresh.data, _spans(fresh)):
        waiting.append(_typed(part, table.data.schema))
        rows += len(part)
        if rows >= CHUNK:
            yield from pa.concat_tables(waiting).combine_chunks().to_batches(max_chunksize=CHUNK)
            rows, waiting = 0, []
    if waiting:
        yield from pa.concat_tables(waiting).combine_chunks().to_batches(max_chunksize=CHUNK)


def _parts(old: Any, again: Sequence[Failed], new: Any, spans: Sequence[tuple[int, int]]) -> Iterator[pa.Table]:
    done = 0
    for failed, (begin, end) in zip(again, spans, strict=True):
        yield from _slices(old, done, failed.row)
        yield from _slices(new, begin, end)
        done = failed.row + 1
    yield from _slices(old, done, len(old))


def _typed(part: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with fates and provenance of the types of an earlier table, which may tell less."""
    import pyarrow as pa

    for place, told in enumerate(schema):
        if part.schema.field(place).type != told.type:
            part = part.set_column(place, told, pa.array(part.column(place).to_pylist(), told.type))
    return part


def _slices(table: Any, begin: int, end: int) -> Iterator[pa.Table]:
    for start in range(begin, end, CHUNK):
        yield table.slice(start, min(CHUNK, end - start)).table


def _spans(table: Dataset) -> list[tuple[int, int]]:
    """First row and end of each input sample's rows."""
    firsts = (fate["first"] for batch in table.select_columns([FATE]).iter(CHUNK) for fate in batch[FATE])
    starts = [row for row, first in enumerate(firsts) if first]
    return list(itertools.pairwise([*starts, len(table)]))
