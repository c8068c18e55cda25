"""The table that an op leaves: its columns, each sample's fate, and what can be read from it.

`step_table` makes one in memory or in the cache of `datasets`, for `Op.run`; runs write theirs as samples flow
(`runner/step_at_work.py`). `datasets` itself is not imported here: the dataset brings its own `map`.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from juicecap.data.columns import features_of, with_columns
from juicecap.data.exact_json import encode_batch
from juicecap.errors import BugError
from juicecap.nested import value_of
from juicecap.ops.apply.fate import FAILURES, FAILURES_COLUMN, FATE_COLUMN, Fate, rejection, rows_of
from juicecap.sample import FATE, Batch, Sample, batch_of, samples_of
from juicecap.vlm.journal import Journal

if TYPE_CHECKING:
    from datasets import Dataset, Features

Watcher = Callable[[Fate], None]
"""Called with each fate as soon as it is known."""


class BatchOp(Protocol):
    """What this module needs of an op."""

    name: ClassVar[str]
    default_batch_size: ClassVar[int]

    def columns_written(self) -> Mapping[str, Any]:
        """Column that the op writes -> its type (`data.columns`)."""

    def stream(
        self, samples: Iterable[Sample], batch_size: int | None = None, journal: Journal | None = None
    ) -> Generator[Fate, None, None]:
        """The fate of each sample, in order."""


_LATER = ("empty", "looping", "refused", "mixed", "further")
"""Counts that tables of before do not have."""

_USAGE = ("captions", "truncated", "prompt_tokens", "completion_tokens", *_LATER)


class Rows:
    """The rows of a dataset; can be iterated more than once."""

    def __init__(self, dataset: Dataset, size: int) -> None:
        self._dataset, self._size = dataset, size

    def __iter__(self) -> Iterator[Sample]:
        for batch in self._dataset.iter(self._size):
            yield from samples_of(batch)


@dataclass(frozen=True)
class Counts:
    """The number of a step's input samples by fate, and of its output samples. `failed` ones were kept by `on_error: keep`."""

    taken: int
    kept: int
    filtered: int
    rejected: int
    given: int
    captions: int
    truncated: int
    prompt_tokens: int
    completion_tokens: int
    failed: int = 0
    damaged: int = 0
    """Samples that have captions although their media are damaged."""
    empty: int = 0
    looping: int = 0
    refused: int = 0
    mixed: int = 0
    further: int = 0
    """Answers of rounds after the first."""


class Failed(NamedTuple):
    """A sample on which an op failed: its row in the step's table, its number among the input samples, its attempts."""

    row: int
    sample: int
    attempts: int
    retryable: bool


@dataclass(frozen=True, kw_only=True)
class Fates:
    """The fates in a step's table, read from it once."""

    counts: Counts
    kept: Sequence[int]
    """Rows that the next step gets."""
    failed: Sequence[Failed]
    """Samples that failed, including those that were kept; in order."""
    reasons: Mapping[str, int]
    """Number of failures by code, the most frequent first."""
    state: str
    """A hash of the failures, for the fingerprint of the next step; empty if nothing failed."""


def step_table(
    op: BatchOp,
    dataset: Dataset,
    *,
    batch_size: int | None = None,
    watcher: Watcher | None = None,
    journal: Journal | None = None,
    **map_options: Any,
) -> Dataset:
    """Apply `op`; returns the step's table: the dataset's and the op's columns, and `FATE`. `journal` as for `Op.stream`.

    `map_options` go to `Dataset.map` (a cache file, a fingerprint). Rows stand in the order of the input.
    """
    dataset = dataset.with_format(None)  # a format would hide columns, or hand ops something else than plain values
    features = table_features(op, dataset.features)
    columns = [name for name in features if name != FATE]
    if not len(dataset):  # `map` would leave the columns as they are
        return type(dataset).from_dict({name: [] for name in features}, features=features)
    size = batch_size or op.default_batch_size
    fates = op.stream(Rows(dataset, size), batch_size, journal)

    def step(indices: list[int]) -> Batch:
        chosen = []
        for _ in indices:
            fate = next(fates, None)
            if fate is None:
                raise BugError(f"{type(op).__name__}.stream gave fewer fates than it was given samples")
            if watcher:
                watcher(fate)
            chosen.append(fate)
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


def table_features(op: BatchOp, before: Features, *, keep_failed: bool = False) -> Features:
    """The features of the table that an op makes of samples with the features `before`.

    With `keep_failed` samples that fail are kept, with the reason in `FAILURES`.
    The step determines the types of new columns, and of existing ones of another type, which then hold both. A column that
    exists with the same type stays as it is; its objects may have their keys in another order.
    """
    declared = {**op.columns_written(), **({FAILURES: FAILURES_COLUMN} if keep_failed else {})}
    types = features_of(declared)
    there = {name: value_of(before, name) for name in declared}
    written = {name: spec if there[name] is None else "json" for name, spec in declared.items() if there[name] != types[name]}
    return with_columns(before, {**written, FATE: FATE_COLUMN})


def fates_of(table: Dataset) -> Fates:
    """Read the fates of a step's table, one chunk in memory at a time."""
    kinds, sums, reasons = Counter[str](), Counter[str](), Counter[str]()
    rows, failed, state = array("q"), list[Failed](), hashlib.blake2b(digest_size=16)
    row, sample, given, damaged = -1, -1, 0, 0
    for batch in table.select_columns([FATE]).with_format("arrow").iter(batch_size=10_000):
        fates = batch[FATE].combine_chunks()
        for name in (each for each in _USAGE if fates.type.get_field_index(each) >= 0):
            sums[name] += int(fates.field(name).to_numpy().sum())  # zero but in the first row of each sample
        parts = (fates.field(name).to_numpy(zero_copy_only=False).tolist() for name in ("kind", "first", "code", "message"))
        for index, (kind, first, code, message) in enumerate(zip(*parts, strict=True)):
            row += 1
            sample += first
            damaged += code is None and message is not None
            kinds[kind] += first
            if kind == "kept":
                given += 1
                rows.append(row)
            if code is not None:
                fate = fates[index].as_py()
                failed.append(Failed(row, sample, fate["attempts"], fate["retryable"]))
                reasons[code] += 1
                kinds["failed"] += kind == "kept"
                state.update(f"{sample} {[code, fate['message']] if kind == 'kept' else ''}\0".encode("utf-8", "surrogatepass"))
    counts = Counts(
        taken=sample + 1,
        kept=kinds["kept"],
        filtered=kinds["filtered"],
        rejected=kinds["rejected"],
        given=given,
        captions=sums["captions"],
        truncated=sums["truncated"],
        prompt_tokens=sums["prompt_tokens"],
        completion_tokens=sums["completion_tokens"],
        failed=kinds["failed"],
        damaged=damaged,
        **{name: sums[name] for name in _LATER},
    )
    by_code = dict(reasons.most_common())
    return Fates(counts=counts, kept=rows, failed=failed, reasons=by_code, state=state.hexdigest() if failed else "")


def kept(table: Dataset, fates: Fates) -> Dataset:
    """The output samples of the step, without their fates."""
    chosen = table if len(fates.kept) == len(table) else table.select(fates.kept)
    return chosen.remove_columns(FATE)


def rejections(table: Dataset, fates: Fates, op: str, media_keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A `rejected.jsonl` record for each rejected sample, in order."""
    for failed in fates.failed:
        row = table[failed.row]
        if row[FATE]["kind"] == "rejected":
            yield rejection(row, op, media_keys)
