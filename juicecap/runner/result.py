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
    notices: tuple[str, ...]

    @property
    def added(self) -> int:
        """Samples that mappers made besides those they were given."""
        return sum(step.counts.given - step.counts.kept for step in self.steps)

    @property
    def rejected(self) -> int:
        """Samples rejected in all steps."""
        return sum(step.counts.rejected for step in self.steps)

    @property
    def filtered(self) -> int:
        """Samples dropped by filters in all steps."""
        return sum(step.counts.filtered for step in self.steps)

    @property
    def too_many_rejected(self) -> bool:
        """Whether more samples were rejected than `max_rejected` allows."""
        share = isinstance(self.max_rejected, float)
        return self.rejected > self.max_rejected * (self.samples if share else 1)

    @property
    def exit_code(self) -> int:
        """0, or 3 if more samples were rejected than the recipe allows."""
        return 3 if self.too_many_rejected else 0
