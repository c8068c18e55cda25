"""The result of a run: counts per step, and paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from juicecap.data.edits.carrying import KeptEdits
from juicecap.data.export.writers.job import ExportResult
from juicecap.ops.apply.table import Counts


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """One op's counts. `finished_before`: an earlier run had done it completely."""

    op: str
    counts: Counts
    seconds: float
    finished_before: bool
    reasons: Mapping[str, int] = field(default_factory=dict)
    """Number of failed samples by code, the most frequent first."""
    tried_again: int = 0
    """Samples that failed in an earlier run and were tried again in this one."""
    replayed: int = 0
    """Answers that came from the journal in this run."""
    asked: int = 0
    """Answers that an engine was asked for in this run."""
    measured: int = 0
    """Measurements that were made in this run."""
    measured_before: int = 0
    """Measurements that were known from the journal, or from another op."""


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of a run. `samples` + `added` = `exported` + `filtered` + `rejected`; the runner checks it."""

    samples: int
    steps: tuple[StepResult, ...]
    exported: int
    export_path: Path
    """The file, or the folder of shards; without `export_path` the place of the first export."""
    work_dir: Path
    seconds: float
    max_rejected: float | int
    """A share of the input samples if a float, a number if an int."""
    next: str = ""
    """What has to be done until there is an output, a sentence; empty: it is written."""
    promise: str = ""
    """Of merged shards: what holds for the output beside that of one run, a sentence."""
    has_table: bool = True
    """Whether there is a table at `export_path`; else only `exports` were written."""
    exports: tuple[ExportResult, ...] = ()
    """What the recipe's `exports` wrote."""
    edits: tuple[KeptEdits, ...] = ()
    """Edits of outputs that were kept, an entry for each output that had some."""

    @property
    def replayed(self) -> int:
        """Answers that came from the journal in this run."""
        return sum(step.replayed for step in self.steps)

    @property
    def asked(self) -> int:
        """Answers that engines were asked for in this run."""
        return sum(step.asked for step in self.steps)

    def total(self, name: str) -> int:
        """The sum of one of the `Counts` over all steps."""
        return sum(getattr(step.counts, name) for step in self.steps)

    @property
    def added(self) -> int:
        """Samples that mappers made besides those they were given."""
        return self.total("given") - self.total("kept")

    @property
    def rejected(self) -> int:
        """Samples rejected in all steps."""
        return self.total("rejected")

    @property
    def failed(self) -> int:
        """Failures of samples that stayed under `on_error: keep`, in all steps."""
        return self.total("failed")

    @property
    def reasons(self) -> dict[str, int]:
        """Number of failed samples by code in all steps, the most frequent first."""
        reasons: Counter[str] = Counter()
        for step in self.steps:
            reasons.update(step.reasons)
        return dict(reasons.most_common())

    @property
    def chain_holds(self) -> bool:
        """Whether each step took what the one before it gave, no sample has two fates or none, and the sums fit."""
        flow = [self.samples, *(step.counts.given for step in self.steps)]
        each = all(step.counts.taken == step.counts.kept + step.counts.filtered + step.counts.rejected for step in self.steps)
        summed = self.samples + self.added == self.exported + self.filtered + self.rejected
        return each and summed and flow == [*(step.counts.taken for step in self.steps), self.exported]

    @property
    def filtered(self) -> int:
        """Samples dropped by filters in all steps."""
        return self.total("filtered")

    @property
    def too_many_rejected(self) -> bool:
        """Whether more samples were rejected than `max_rejected` allows."""
        return self.rejected > rejections_allowed(self.max_rejected, self.samples)

    @property
    def exit_code(self) -> int:
        """0, or 3 if there is an output, and more samples were rejected than the recipe allows."""
        return 3 if self.too_many_rejected and not self.next else 0


def rejections_allowed(max_rejected: float, samples: int) -> int:
    """How many of the samples may be rejected: a number, or if it is a float the share of them that its decimal digits say."""
    return int(Fraction(str(max_rejected)) * (samples if isinstance(max_rejected, float) else 1))
