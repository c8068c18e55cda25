"""Equal questions in an estimate. A run asks each of them once, however many rows have it.

Media are told apart by path, for which all rows are read: equal clips under several names are asked about once as well, which is
not counted here. Rows with the same media form a group. Of the groups of the rows in the estimate some more rows are examined,
and how many questions in a group are equal is scaled up from these. Questions about different media are never equal.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from juicecap.data.table import CHUNK
from juicecap.nested import split_name, value_of
from juicecap.ops.apply.forecast import question_key
from juicecap.recipe import Recipe
from juicecap.runner.steps import columns_read
from juicecap.sample import ORIGIN, Sample
from juicecap.vlm.base import Request, digest_of

if TYPE_CHECKING:
    from datasets import Dataset

MOST_ROWS = 2000
"""Rows that are examined, those of the estimate included, to find equal questions."""

MADE_UP = "Somebody walks slowly from the left to the right, and something else happens behind them. " * 3
"""An answer, for the ops that come after."""

_MARK = MADE_UP[:40]


class Traced(NamedTuple):
    """A sample in the estimate: the row that it comes from, and what its made-up answers depend on."""

    sample: Sample
    row: int
    heard: str = ""

    def answered(self, requests: Iterable[Request], outputs: Iterable[Sample]) -> Iterator[Traced]:
        """What it becomes after these requests, each output with answers of its own."""
        asked = [self.key(request) for request in requests]
        for number, output in enumerate(outputs):
            yield Traced(output, self.row, digest_of([self.heard, asked, number]))

    def key(self, request: Request) -> str:
        """What equal questions have in common. One that repeats an answer is equal if the answer is."""
        texts = (part.value for message in request.messages for part in message.parts if part.kind == "text")
        repeats = any(_MARK in text for text in texts)
        return digest_of([question_key(request), self.heard]) if repeats else question_key(request)


class Groups:
    """The rows of a dataset by their media."""

    def __init__(self, recipe: Recipe, dataset: Dataset) -> None:
        names = dataset.column_names
        asking = [step.op for step in recipe.steps if step.op.uses_model()]
        self._columns = list(dict.fromkeys(name for op in asking for name in columns_read(op, names) if name != ORIGIN))
        keys = {split_name(key, names)[0]: key for key in (recipe.image_key, recipe.video_key)}
        self._media = {name: keys[name] for name in self._columns if name in keys}
        """The columns of media with their keys, which may name something inside of an object."""
        if not self._columns and (text := split_name(recipe.text_key, names)[0]) in names:
            self._columns = [text]
        self._known: set[int] = set()
        self.of_row: list[int] = []
        """The group of each row."""
        for values in self._values(dataset):
            self.of_row.append(hash(repr(values)))
            self._note_media(values)
        self.sizes = Counter(self.of_row)

    @property
    def media(self) -> int | None:
        """How many paths there are in the columns of media; None: there are no such columns."""
        return len(self._known) if self._media else None

    def more_rows(self, rows: Sequence[int], most: int = MOST_ROWS) -> list[int]:
        """Other rows of the groups of these, together with these at most `most` (or one a group); always the same."""
        there = defaultdict[int, list[int]](list)
        wanted, chosen = {self.of_row[row] for row in rows}, set(rows)
        for row, group in enumerate(self.of_row):
            if group in wanted and row not in chosen:
                there[group].append(row)
        each = max(1, (most - len(rows)) // max(1, len(wanted)))
        draw = random.Random(len(self.of_row))  # noqa: S311  (a draw, not a secret)
        return sorted(row for found in there.values() for row in (found if len(found) <= each else draw.sample(found, each)))

    def _values(self, dataset: Dataset) -> Iterator[tuple[Any, ...]]:
        """The media of each row, and against which folder their paths are relative."""
        from pyarrow import compute

        there = [name for name in (*self._columns, ORIGIN) if name in dataset.column_names]
        for table in dataset.select_columns(there).with_format("arrow").iter(CHUNK):
            columns = [[self._medium(name, value) for value in table[name].to_pylist()] for name in self._columns]
            if ORIGIN in there:
                columns.append(compute.struct_field(table[ORIGIN], "folder").to_pylist())
            yield from zip(*columns, strict=True) if columns else [()] * len(table)

    def _medium(self, name: str, value: Any) -> Any:
        return value_of({name: value}, self._media[name]) if name in self._media and isinstance(value, Mapping) else value

    def _note_media(self, values: tuple[Any, ...]) -> None:
        for name, value in zip(self._columns, values, strict=False):
            if name in self._media:
                listed = value if isinstance(value, list) else [value]
                self._known.update(hash((repr(each), values[-1])) for each in listed if each)


class Shares:
    """How much of each question is that of one sample: a third of it if three ask it."""

    def __init__(self, groups: Groups, looked_at: Iterable[int]) -> None:
        self._groups = groups
        self._looked_at = Counter(groups.of_row[row] for row in looked_at)
        self._asked: Counter[str] = Counter()

    def add(self, key: str) -> None:
        """Count a question, or a medium, of one of the rows that are examined."""
        self._asked[key] += 1

    def of(self, key: str, row: int) -> float:
        """The share of a sample of this row."""
        group, asked = self._groups.of_row[row], self._asked[key]
        size, looked_at = self._groups.sizes[group], self._looked_at[group]
        if looked_at < size:
            return 1 / (1 + (asked - 1) * (size - 1) / max(1, looked_at - 1))
        return 1 / asked
