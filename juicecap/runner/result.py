"""What a run gave: counts per step, and where things are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from juicecap.ops.table import Counts


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """One op's counts. `finished_before` says that an earlier run had done it."""

    op: str
    counts: Counts
    seconds: float
    finished_before: bool


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run gave. `samples` + `added` = `exported` + `filtered` + `rejected`; the runner checks it."""

    samples: int
    steps: tuple[StepResult, ...]
    exported: int
    export_path: Path
    work_dir: Path
    seconds: float
    max_rejected: float | int
    """A share of the input samples if a float, a number if an int."""

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
    def filtered(self) -> int:
        """Samples dropped by filters in all steps."""
        return self.total("filtered")

    @property
    def too_many_rejected(self) -> bool:
        """Whether more samples were rejected than `max_rejected` allows."""
        share = isinstance(self.max_rejected, float)
        return self.rejected > self.max_rejected * (self.samples if share else 1)

    @property
    def exit_code(self) -> int:
        """0, or 3 if more samples were rejected than the recipe allows."""
        return 3 if self.too_many_rejected else 0
