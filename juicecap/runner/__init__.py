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
    overwrite_texts: bool = False,
    retry_rejected: bool = False,
    fresh: bool = False,
    progress: Progress | None = None,
    metrics: Path | None = None,
) -> RunResult:
    """Run a recipe and export its result.

    `overrides` are `KEY=VALUE` texts as on the command line (for a recipe given by path); `limit` takes only the first
    samples; `overwrite` allows replacing an output that another run wrote, and `overwrite_texts` texts beside media that somebody
    edited, or that were there before (copies are kept in the run folder). A repeated run continues after its last finished step,
    and retries samples that failed for a temporary reason, with `retry_rejected` all that failed. Earlier answers of a model are
    reused, unless `fresh` is set: then nothing of earlier runs is used. `progress` receives reports; `metrics` is a file that is
    kept up to date with figures in the text format of Prometheus.

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
        overwrite_texts=overwrite_texts,
        retry_rejected=retry_rejected,
        fresh=fresh,
        progress=progress or SilentProgress(),
        metrics=metrics,
    )
