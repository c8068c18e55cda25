"""The rows of a dataset as they are written to a text file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from juicecap.data.table import rows_at_once
from juicecap.data.writing import lines
from juicecap.errors import DataError
from juicecap.sample import HIDDEN, Batch, Sample, sample_name, samples_of

if TYPE_CHECKING:
    from datasets import Dataset


def visible_columns(dataset: Dataset) -> list[str]:
    """The names of the columns that belong to the user, in order."""
    return [name for name in dataset.column_names if name not in HIDDEN]


def samples(dataset: Dataset) -> Iterator[Sample]:
    """All samples in order, with hidden columns, a batch in memory at a time."""
    batch: Batch
    for batch in dataset.with_format(None).iter(batch_size=rows_at_once(dataset)):
        yield from samples_of(batch)


def json_text(value: Any, sample: Sample) -> str:
    """`value` as JSON text on one line.

    Raises:
        DataError: JSON has no such value; names the sample.
    """
    try:
        return lines.json_text(value)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{sample_name(sample)} cannot be written as text: {error}. Export to .parquet, or drop that column."
        ) from error
