"""Where the samples of a run went, in numbers, with a few of each kind as examples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import get_args

from juicecap.runner.lineage.history import History, Part
from juicecap.runner.lineage.records import Kind, name_of, of_table, records, step_of
from juicecap.runner.run_folder.steps_file import NotedStep
from juicecap.text import numbered

SHOWN = 3
"""Examples of a kind."""


@dataclass
class StepTotals:
    """What an op did to the samples, in all parts that have finished it. `examples` are ids by kind and code."""

    number: int
    op: str
    taken: int = 0
    given: int = 0
    added: int = 0
    filtered: int = 0
    rejected: int = 0
    captions: int = 0
    cut: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The op with its number; the reading of the dataset has none."""
        return numbered(self.op, self.number)

    def show(self, kind: str, sample: str) -> bool:
        """Take an example, if there are not enough of its kind; whether there was room."""
        examples = self.examples.setdefault(kind, [])
        if len(examples) < SHOWN and sample not in examples:
            examples.append(sample)
        return len(examples) < SHOWN


@dataclass(frozen=True)
class Totals:
    """`samples` + those added = those filtered and rejected + `exported`, in a run that is complete."""

    samples: int | None
    """Samples that were read; None: not all were."""
    exported: int | None
    """Samples in the output; None: it is not written."""
    steps: tuple[StepTotals, ...]


def totals_of(history: History) -> Totals:
    """Count, and find examples.

    Raises:
        UsageError, DataError: as `records`.
    """
    steps: dict[int, StepTotals] = {}
    for part, noted in history.steps():
        step = steps.setdefault(noted.number, StepTotals(noted.number, noted.op))
        _add(step, noted)
        for kind in get_args(Kind):
            _find_examples(step, kind, part, noted)
    finished = set(steps)
    for record in records(history, "rejected"):
        number, code = step_of(record), str(record.get("code"))
        if number not in finished:  # the reading of the dataset, or an op at which the run ended
            step = steps.setdefault(number, StepTotals(number, name_of(record)))
            step.rejected += 1
            step.reasons[code] = step.reasons.get(code, 0) + 1
            step.show(code, record["id"])
    whole = history.whole
    samples = whole.samples if whole else _of_shards(history)
    exported = whole.exported if whole and history.is_complete else None
    return Totals(samples, exported, tuple(steps[number] for number in sorted(steps)))


def _add(step: StepTotals, noted: NotedStep) -> None:
    counts = noted.counts
    step.taken += counts["taken"]
    step.given += counts["given"]
    step.added += counts["given"] - counts["kept"]
    step.filtered += counts["filtered"]
    step.rejected += counts["rejected"]
    step.captions += counts["captions"]
    step.cut += counts["truncated"]
    step.reasons = dict((Counter(step.reasons) + Counter(noted.reasons)).most_common())


def _find_examples(step: StepTotals, kind: Kind, part: Part, noted: NotedStep) -> None:
    """Examples of what happened in a step, for as long as some are wanted; of rejections some of each code."""
    wanted = set(noted.reasons) if kind == "rejected" else {kind}
    for record in of_table(kind, part, noted):
        what = str(record.get("code", kind))
        if not step.show(what, record["id"]):
            wanted.discard(what)
        if not wanted:
            return


def _of_shards(history: History) -> int | None:
    found = [part.status.samples if part.status else None for part in history.parts]
    return None if None in found else sum(each or 0 for each in found)
