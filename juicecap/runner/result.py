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
    """Samples in = what every step filtered and rejected + what the last step kept; `exported` counts what that gave."""

    samples: int
    steps: tuple[StepResult, ...]
    exported: int
    export_path: Path
    work_dir: Path
    seconds: float
    too_many_rejected: bool
    notices: tuple[str, ...]

    @property
    def rejected(self) -> int:
        """Samples rejected in all steps."""
        return sum(step.counts.rejected for step in self.steps)

    @property
    def filtered(self) -> int:
        """Samples dropped by filters in all steps."""
        return sum(step.counts.filtered for step in self.steps)

    @property
    def exit_code(self) -> int:
        """0, or 3 if more samples were rejected than the recipe allows."""
        return 3 if self.too_many_rejected else 0
