"""Running a recipe: steps, run folder, progress, result."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from juicecap.errors import UsageError
from juicecap.recipe import Recipe, load_recipe
from juicecap.recipe.shards import check_count, read_shard
from juicecap.runner.local import run_local
from juicecap.runner.reporting.progress import Progress, SilentProgress
from juicecap.runner.reporting.status import RunStatus, StepStatus
from juicecap.runner.result import RunResult, StepResult
from juicecap.runner.shards.merge import merge_shards, run_all
from juicecap.runner.shards.shard import Options, run_shard

__all__ = ["Progress", "RunResult", "RunStatus", "SilentProgress", "StepResult", "StepStatus", "merge", "run"]


def run(
    recipe: Recipe | str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    limit: int | None = None,
    overwrite: bool = False,
    overwrite_texts: bool = False,
    keep_edits: bool = False,
    retry_rejected: bool = False,
    fresh: bool = False,
    progress: Progress | bool | None = None,
    metrics: Path | None = None,
    shard: str | None = None,
    shards: int | None = None,
    began: float | None = None,
) -> RunResult:
    """Run a recipe (a file, or a dict of what would stand in one) and export its result.

    `overrides` are `KEY=VALUE` texts as on the command line (unless the recipe is loaded already); `limit` takes only the first
    samples; `overwrite` allows replacing an output that another run wrote, or that somebody edited, and `overwrite_texts` texts
    beside media that somebody edited, or that were there before; copies are kept in the run folder. With `keep_edits` an output
    that somebody edited is written with these edits (`RunResult.edits`). A repeated run continues after its last finished step,
    and retries samples that failed for a temporary reason, with `retry_rejected` all that failed. Earlier answers of a model are
    reused, unless `fresh` is set: then nothing of earlier runs is used. `progress` receives reports, and True shows them, in a
    notebook or on a terminal; without it nothing is shown. `metrics` is a file that is kept up to date with figures in the text
    format of Prometheus.

    With `shard`, such as `"3/64"`, only that part of the samples is worked on, and nothing is exported: `merge` does that once
    all shards are done. `shards` runs that many one after the other here, and merges them.

    Time is counted from `began`, as `time.monotonic` has it, or from this call.

    Raises:
        RecipeError: the recipe is wrong; nothing was run.
        UsageError: the output belongs to another run, or was edited; or there is no such shard.
        DataError: the dataset cannot be read, the output cannot be written, or the samples are all bad (see `on_error`).
        EnvironmentFailure: an engine or the disk failed, or another run uses the run folder; running again resumes.
    """
    began = began or time.monotonic()
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    reports = _reports(progress)
    if shard is None and shards is None:
        return run_local(
            loaded,
            limit=limit,
            overwrite=overwrite,
            overwrite_texts=overwrite_texts,
            keep_edits=keep_edits,
            retry_rejected=retry_rejected,
            fresh=fresh,
            progress=reports,
            metrics=metrics,
            began=began,
        )
    options = Options(
        limit=limit,
        retry_rejected=retry_rejected,
        fresh=fresh,
        progress=reports,
        metrics=metrics,
        keeps_engines=shard is None,
        began=began,
    )
    if shard is not None:
        one = read_shard(shard)
        if shards not in (None, one.count):
            raise UsageError(f"--shard {shard} is one of {one.count} shards, and --shards says {shards}; leave --shards out")
        return run_shard(loaded, one, options)
    assert shards is not None
    check_count(shards)
    return run_all(loaded, shards, options, overwrite=overwrite, overwrite_texts=overwrite_texts, keep_edits=keep_edits)


def merge(
    recipe: Recipe | str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    shards: int | None = None,
    overwrite: bool = False,
    overwrite_texts: bool = False,
    keep_edits: bool = False,
    progress: Progress | bool | None = None,
    metrics: Path | None = None,
    began: float | None = None,
) -> RunResult:
    """Make one run of the shards of a recipe, and export its result.

    `shards` is their number, needed only if there are shards of several numbers; the other arguments are those of `run`. Nothing
    is asked, and no medium is read. If an op that needs the whole dataset is followed by ops that ask something, the first merge
    decides about the samples, all shards go on with the same command, and another merge follows: `RunResult.next` says so.

    Raises:
        RecipeError, UsageError, EnvironmentFailure: as `run`.
        DataError: shards are missing, not finished, or of another recipe, dataset or version; the message names each.
    """
    began = began or time.monotonic()
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    if shards is not None:
        check_count(shards)
    return merge_shards(
        loaded,
        count=shards,
        overwrite=overwrite,
        overwrite_texts=overwrite_texts,
        keep_edits=keep_edits,
        progress=_reports(progress),
        metrics=metrics,
        began=began,
    )


def _reports(to: Progress | bool | None) -> Progress:  # noqa: FBT001  (as it was given)
    """What reports go to."""
    if to is True:
        raise UsageError("progress=True is for juicecap.run and juicecap.merge, which can draw; give juicecap.runner a Progress")
    return to or SilentProgress()
