"""Retrying some samples of a finished step: its table gets their new rows in place of the old ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from juicecap.data.table import CHUNK
from juicecap.ops.apply.table import Failed, Fates
from juicecap.ops.whole_dataset import WholeDatasetOp
from juicecap.sample import FATE

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from juicecap.ops.base import Op


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
        waiting.append(_with_fates(part, table.data.schema.field(FATE)))
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


def _with_fates(part: pa.Table, told: pa.Field) -> pa.Table:
    """The rows with fates of this type: tables of before tell less."""
    import pyarrow as pa

    place = part.schema.get_field_index(FATE)
    if part.schema.field(place).type == told.type:
        return part
    fates = part[FATE].combine_chunks()
    columns = [fates.field(each.name) for each in told.type]
    return part.set_column(place, told, pa.StructArray.from_arrays(columns, fields=list(told.type)))


def _slices(table: Any, begin: int, end: int) -> Iterator[pa.Table]:
    for start in range(begin, end, CHUNK):
        yield table.slice(start, min(CHUNK, end - start)).table


def _spans(table: Dataset) -> list[tuple[int, int]]:
    """First row and end of each input sample's rows."""
    firsts = (fate["first"] for batch in table.select_columns([FATE]).iter(CHUNK) for fate in batch[FATE])
    starts = [row for row, first in enumerate(firsts) if first]
    return list(itertools.pairwise([*starts, len(table)]))
