"""Rows of a step's table by the fates in them, read a chunk at a time and as Arrow has them: a table may have millions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from juicecap.sample import FATE, ORIGIN, Sample

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

AT_ONCE = 10_000
"""Rows that are looked at together."""

Choice = Callable[["pa.StructArray", "pa.StructArray | None"], "pa.Array"]
"""Which rows of a chunk are meant, given their fates and, if the table has them, their origins."""


def rows_where(table: Dataset, chosen: Choice, facts: Sequence[str] = ()) -> Iterator[tuple[int, Sample, dict[str, Any]]]:
    """The number, the origin (as a sample; if there is none, the whole sample) and some facts of the fate of each such row.

    A fact that tables of before do not have is None.
    """
    import pyarrow.compute as pc

    columns = [name for name in (ORIGIN, FATE) if name in table.column_names]
    first = 0
    for batch in table.select_columns(columns).with_format("arrow").iter(batch_size=AT_ONCE):
        fates = batch[FATE].combine_chunks()
        origins = batch[ORIGIN].combine_chunks() if ORIGIN in columns else None
        rows = pc.indices_nonzero(chosen(fates, origins))
        if len(rows):
            known = [name for name in facts if fates.type.get_field_index(name) >= 0]
            values = {name: fates.field(name).take(rows).to_pylist() for name in known}
            of_rows = origins.take(rows).to_pylist() if origins is not None else [None] * len(rows)
            for place, (row, origin) in enumerate(zip(rows.to_pylist(), of_rows, strict=True)):
                told = {name: values[name][place] if name in values else None for name in facts}
                yield first + row, {ORIGIN: origin} if origin else table[first + row], told
        first += len(fates)


def of_kind(kind: str) -> Choice:
    """The rows with a fate of this kind."""
    import pyarrow.compute as pc

    return lambda fates, _: pc.equal(fates.field("kind"), kind)


def with_some(count: str) -> Choice:
    """The rows at which this count stands, and is not zero."""
    import pyarrow.compute as pc

    return lambda fates, _: pc.greater(fates.field(count), 0)


def first_of_each(fates: pa.StructArray, origins: pa.StructArray | None) -> pa.Array:
    """The first row of each input sample."""
    del origins
    return fates.field("first")


def named(name: str) -> Choice:
    """The rows of the samples with this id."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def chosen(fates: pa.StructArray, origins: pa.StructArray | None) -> pa.Array:
        if origins is None:
            return pa.array([False] * len(fates))
        return pc.fill_null(pc.equal(origins.field("id"), name), False)

    return chosen


def places_of_kept(table: Dataset, rows: Sequence[int]) -> list[int]:
    """The places of these kept rows among all that were kept, from 1."""
    import numpy as np

    batches = table.select_columns([FATE]).with_format("arrow").iter(batch_size=AT_ONCE)
    kept = [batch[FATE].combine_chunks().field("kind").to_numpy(zero_copy_only=False) == "kept" for batch in batches]
    places = np.cumsum(np.concatenate(kept))
    return [int(places[row]) for row in rows]
