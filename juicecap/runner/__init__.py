"""Running a recipe: steps, run folder, progress, result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from juicecap.recipe import Recipe, load_recipe
from juicecap.runner.local import run_local
from juicecap.runner.reporting.progress import Progress, SilentProgress
from juicecap.runner.reporting.status import RunStatus, StepStatus
from juicecap.runner.result import RunResult, StepResult

__all__ = ["Progress", "RunResult", "RunStatus", "SilentProgress", "StepResult", "StepStatus", "run"]


def run(
    recipe: Recipe | str | Path,
    *,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    overwrite: bool = False,
    retry_rejected: bool = False,
    fresh: bool = False,
    progress: Progress | None = None,
    metrics: Path | None = None,
) -> RunResult:
    """Run a recipe and export its result.

    `overrides` are `KEY=VALUE` texts as on the command line (for a recipe given by path); `limit` takes only the first
    samples; `overwrite` allows to replace an output that another run wrote. A run that is repeated goes on behind its last
    finished step, and tries samples again that failed for a reason that may have passed; `retry_rejected`: all that failed.
    What a model answered before is not asked again, unless `fresh` is set: then nothing that earlier runs left is used.
    `progress` is told how it goes; `metrics` is a file that is kept up to date with figures in the text format of Prometheus.

    Raises:
        RecipeError: the recipe is wrong; nothing was run.
        UsageError: the output belongs to another run.
        DataError: the dataset cannot be read, the output cannot be written, or the samples are all bad (see `on_error`).
        EnvironmentFailure: an engine or the disk failed, or another run uses the run folder; running again resumes.
    """
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    return run_local(
        loaded,
        limit=limit,
        overwrite=overwrite,
        retry_rejected=retry_rejected,
        fresh=fresh,
        progress=progress or SilentProgress(),
        metrics=metrics,
    )
