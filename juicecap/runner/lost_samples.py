"""The samples that a run lost, written down: those that were rejected (`rejected.jsonl`), and those that were filtered."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from juicecap.ops.apply.dropped import filtered_samples
from juicecap.ops.apply.table import Fates, fates_of, rejections
from juicecap.runner.loading import LoadedDataset
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.runner.step_at_work import StepAtWork
from juicecap.runner.steps import StepOutput

if TYPE_CHECKING:
    from datasets import Dataset

    from juicecap.hidden import Hidden
    from juicecap.recipe import Recipe, Step

    _StepTable = tuple[Step, Dataset, Fates]


@dataclass(frozen=True)
class LostSamples:
    """Where samples are lost: at reading the dataset, and in steps. `before` are steps that were finished before these."""

    recipe: Recipe
    loaded: LoadedDataset
    before: Sequence[StepOutput] = ()

    def write(self, folder: RunFolder, finished: Sequence[StepOutput], others: Iterable[StepAtWork] = ()) -> tuple[int, int]:
        """Replace both files; returns how many samples were rejected and filtered. `others` are steps that end early.

        Raises:
            DataError, EnvironmentFailure: one cannot be written.
        """
        tables = [(each.step, each.table, each.fates) for each in (*self.before, *finished)]
        for each in others:
            table = each.unfinished_table()
            tables.append((each.step, table, fates_of(table)))
        return folder.write_rejected(self._rejected(tables)), folder.write_filtered(self._filtered(tables))

    def _rejected(self, tables: Iterable[_StepTable]) -> Iterator[dict[str, Any]]:
        """The lines of `rejected.jsonl`. Messages show names of variables, not values; samples are unchanged."""
        of_steps = (rejections(table, fates, step.label, step.op.media_keys()) for step, table, fates in tables)
        for record in itertools.chain(self.loaded.rejections(), *of_steps):
            yield {**record, "message": self.recipe.hidden.text(record["message"])}

    def _filtered(self, tables: Iterable[_StepTable]) -> Iterator[dict[str, Any]]:
        """The lines of `filtered.jsonl`."""
        for step, table, fates in tables:
            if fates.counts.filtered:
                yield from filtered_samples(table, step.label, limits(step, self.recipe.hidden), step.op.media_keys())


def limits(step: Step, hidden: Hidden) -> dict[str, Any]:
    """The limits by which a step drops samples, with texts of variables by their names."""
    return {name: hidden.text(value) if isinstance(value, str) else value for name, value in step.op.wanted().items()}
