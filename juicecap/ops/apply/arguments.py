"""Whether an op can be applied to what it is given in Python: a sentence, in place of a traceback from inside of `datasets`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.columns import column_names
from juicecap.data.given import no_dataset
from juicecap.errors import ArgumentError, DataError
from juicecap.naming import quoted
from juicecap.nested import is_among
from juicecap.printable import escaped
from juicecap.sample import short_repr
from juicecap.text import near

if TYPE_CHECKING:
    from datasets import Dataset

    from juicecap.ops.base import Op

SHOWN_COLUMNS = 8
"""Columns that a message lists."""


def check_arguments(op: Op, dataset: Any, rejected: Any, batch_size: Any, journal: Any) -> None:
    """Check the arguments of `Op.run`.

    Raises:
        ArgumentError: one is of a wrong kind.
        DataError: the dataset lacks a column that the op reads.
    """
    if wrong := no_dataset(dataset):
        raise ArgumentError(f"{op.name}: run() takes a datasets.Dataset, {wrong}")
    if not (rejected is None or isinstance(rejected, list | str | Path)):
        raise ArgumentError(f"{op.name}: rejected= takes a list or the path of a jsonl file, not {short_repr(rejected)}")
    if batch_size is not None and (not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1):
        raise ArgumentError(f"{op.name}: batch_size= takes a whole number from 1, not {short_repr(batch_size)}")
    if not (journal is None or isinstance(journal, str | Path)):
        raise ArgumentError(f"{op.name}: journal= takes the path of a file or of a folder, not {short_repr(journal)}")
    _check_columns(op, dataset)


def check_batch(batch: Any) -> None:
    """Check that it is a dict of lists of equal length, as an op takes it.

    Raises:
        ArgumentError: it is not.
    """
    if not isinstance(batch, Mapping):
        raise ArgumentError(f"an op takes a batch, a dict of lists, not {short_repr(batch)}; a Dataset goes to run(dataset)")
    lengths = {}
    for name, column in batch.items():
        if isinstance(column, str | bytes | Mapping) or not hasattr(column, "__len__"):
            raise ArgumentError(
                f"column {quoted(str(name))} of the batch holds {short_repr(column)}, not a list with a value per sample"
            )
        lengths[name] = len(column)
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{quoted(str(name))} has {length:,}" for name, length in lengths.items())
        raise ArgumentError(f"the columns of a batch have one value per sample, but {told}")


def _check_columns(op: Op, dataset: Dataset) -> None:
    present = column_names(dataset.features)
    for parameter, column in op.columns_required():
        if not is_among(column, present):
            raise DataError(f"{op.name}: {lacking(op, parameter, column, present)}{_near(parameter, column, present)}")


def lacking(op: Op, parameter: str, column: str, present: Collection[str]) -> str:
    """A sentence about a column that a parameter names and that the data does not have, which has those `present`."""
    have = ", ".join(map(escaped, list(present)[:SHOWN_COLUMNS])) + (", …" if len(present) > SHOWN_COLUMNS else "")
    verb = "names" if getattr(op, parameter, column) == column else "needs"
    return f"the data has no column {quoted(column)}, which {parameter} {verb}; it has {have}"


def _near(parameter: str, column: str, present: list[str]) -> str:
    found = near(column, present)
    return f". Did you mean {quoted(found)}? Write {parameter}={found!r}" if found else ""
