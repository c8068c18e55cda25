"""An op over a whole `Dataset`: one batched map whose result, the step's table, tells each sample's fate.

The runner gives the table a file in the run folder; `Op.run` leaves that to `datasets`. `datasets` itself is not imported
here: the dataset brings its own `map`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from juicecap.data.columns import features_of, with_columns
from juicecap.data.exact_json import encode_batch
from juicecap.errors import BugError
from juicecap.ops.fate import FATE_COLUMN, Fate, rejection, rows_of
from juicecap.sample import FATE, Batch, Sample, batch_of, samples_of

if TYPE_CHECKING:
    from datasets import Dataset

Watcher = Callable[[Sequence[Fate]], None]
"""Told the fates of each batch as they are known; for progress."""


class BatchOp(Protocol):
    """What this module needs of an op."""

    default_batch_size: ClassVar[int]

    def columns_written(self) -> Mapping[str, Any]:
        """See `ops.base.Op`."""

    def stream(self, samples: Iterable[Sample], batch_size: int | None = None) -> Generator[Fate, None, None]:
        """See `ops.base.Op`."""


class _Rows:
    """The rows of a dataset; can be iterated more than once."""

    def __init__(self, dataset: Dataset, size: int) -> None:
        self._dataset, self._size = dataset, size

    def __iter__(self) -> Iterator[Sample]:
        for batch in self._dataset.iter(self._size):
            yield from samples_of(batch)


@dataclass(frozen=True)
class Counts:
    """The fates of a step's input samples, and what the step gave."""

    taken: int
    kept: int
    filtered: int
    rejected: int
    given: int
    captions: int
    truncated: int
    prompt_tokens: int
    completion_tokens: int


def step_table(
    op: BatchOp,
    dataset: Dataset,
    *,
    batch_size: int | None = None,
    watcher: Watcher | None = None,
    **map_options: Any,
) -> Dataset:
    """Apply `op`; returns the step's table: the dataset's and the op's columns, and `FATE`.

    `map_options` go to `Dataset.map` (a cache file, a fingerprint). Rows stand in the order of the input.
    """
    dataset = dataset.with_format(None)  # a format would hide columns, or hand ops something else than plain values
    features = with_columns(dataset.features, {**_written(op, dataset), FATE: FATE_COLUMN})
    columns = [name for name in features if name != FATE]
    if not len(dataset):  # `map` would leave the columns as they are
        return type(dataset).from_dict({name: [] for name in features}, features=features)
    size = batch_size or op.default_batch_size
    fates = op.stream(_Rows(dataset, size), batch_size)

    def step(indices: list[int]) -> Batch:
        chosen = list(itertools.islice(fates, len(indices)))
        if len(chosen) < len(indices):
            raise BugError(f"{type(op).__name__}.stream gave fewer fates than it was given samples")
        if watcher:
            watcher(chosen)
        return encode_batch(batch_of(rows_of(chosen, columns), features), features)

    with closing(fates):
        table = dataset.map(
            step,
            with_indices=True,
            input_columns=[],  # the op reads the rows itself, ahead of the map
            batched=True,
            batch_size=size,
            features=features,
            remove_columns=dataset.column_names,
            **map_options,
        )
        if next(fates, None) is not None:
            raise BugError(f"{type(op).__name__}.stream gave more fates than it was given samples")
        return table


def _written(op: BatchOp, dataset: Dataset) -> dict[str, Any]:
    """The columns that the op writes; one that exists with another type can hold both from now on."""
    declared = op.columns_written()
    types = features_of(declared)
    return {
        name: "json" if name in dataset.features and dataset.features[name] != types[name] else spec
        for name, spec in declared.items()
    }


def kept(table: Dataset) -> Dataset:
    """The samples that the step gave, without their fates."""
    rows = [index for index, fate in _fates(table) if fate["kind"] == "kept"]
    chosen = table if len(rows) == len(table) else table.select(rows)
    return chosen.remove_columns(FATE)


def rejections(table: Dataset, op: str, media_keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A `rejected.jsonl` record for each rejected sample, in order."""
    for index, fate in _fates(table):
        if fate["kind"] == "rejected":
            yield rejection(table[index], op, media_keys)


def counts(table: Dataset) -> Counts:
    """Count the fates."""
    kinds: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    given = 0
    for _, fate in _fates(table):
        given += fate["kind"] == "kept"
        if fate["first"]:
            kinds[fate["kind"]] += 1
            for name in ("captions", "truncated", "prompt_tokens", "completion_tokens"):
                sums[name] += fate[name]
    return Counts(
        taken=sum(kinds.values()),
        kept=kinds["kept"],
        filtered=kinds["filtered"],
        rejected=kinds["rejected"],
        given=given,
        captions=sums["captions"],
        truncated=sums["truncated"],
        prompt_tokens=sums["prompt_tokens"],
        completion_tokens=sums["completion_tokens"],
    )


def _fates(table: Dataset) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row number, fate) of every row; reads one chunk of the table at a time."""
    index = 0
    for batch in table.select_columns([FATE]).iter(batch_size=10_000):
        for fate in batch[FATE]:
            yield index, fate
            index += 1
