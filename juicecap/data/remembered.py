"""The hidden column of clean datasets, which have none themselves: kept in memory as long as such a dataset lives.

So an op names a sample by the line of its file all the same. What `datasets` itself makes of a clean dataset (`filter`, `map`) is
another dataset, of which nothing is remembered: there a sample is named by its first medium.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from juicecap.sample import ORIGIN

if TYPE_CHECKING:
    from datasets import Dataset

_origins: WeakKeyDictionary[Dataset, Dataset] = WeakKeyDictionary()


def without_origins(dataset: Dataset) -> Dataset:
    """The dataset without its hidden column, which is remembered."""
    clean = dataset.remove_columns(ORIGIN)
    _origins[clean] = dataset.select_columns(ORIGIN)
    return clean


def with_origins(dataset: Dataset) -> Dataset:
    """A clean dataset with the hidden column that it had; any other as it is."""
    from datasets import Dataset, DatasetInfo, Features, concatenate_datasets
    from datasets.table import InMemoryTable

    origins = _origins.get(dataset)
    if origins is None:
        return dataset
    joined = concatenate_datasets([dataset.with_format(None), origins], axis=1)
    order = Features({name: joined.features[name] for name in (*dataset.column_names, ORIGIN)})
    table = InMemoryTable(joined.data.table.select(list(order)))  # its buffers stay mapped; other tables keep their own order
    return Dataset(table, info=DatasetInfo(features=order), indices_table=joined._indices)  # noqa: SLF001  (datasets has no public name for it)


def as_clean_as(before: Dataset, result: Dataset) -> Dataset:
    """What an op made of the dataset `before`: clean if that is."""
    return without_origins(result) if before in _origins else result
