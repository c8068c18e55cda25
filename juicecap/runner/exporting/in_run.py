"""The outputs of a run: the table at `export_path`, and what the recipe wants besides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.export import write_export
from juicecap.data.export.media_paths import with_paths
from juicecap.data.export.writers.job import ExportResult, Job, MediaTools, Ready
from juicecap.recipe import Recipe
from juicecap.runner.exporting.write import roles_of, write_exports
from juicecap.runner.run_folder.folder import RunFolder

if TYPE_CHECKING:
    from datasets import Dataset


def write_table(recipe: Recipe, last: Dataset, folder: RunFolder, ready: Callable[[Path], Ready]) -> None:
    """Write the result to `export_path`, if the recipe wants that.

    Raises:
        DataError, EnvironmentFailure, UsageError, BugError: as `write_export`.
    """
    if not (recipe.export_path and recipe.table):
        return
    at = recipe.table if recipe.export_shard_size else recipe.table.parent
    write_export(
        with_paths(last, *recipe.path_columns(), at.absolute(), recipe.export_paths, folder.steps),
        recipe.export_path,
        format=recipe.export_type,
        shard_size=recipe.export_shard_size,
        owner=folder.owner,
        ready=ready(recipe.table),
        csv_formulas=recipe.export_csv_formulas,
    )


def write_of_run(
    recipe: Recipe,
    last: Dataset,
    folder: RunFolder,
    ready: Callable[[Path], Ready],
    tools: MediaTools,
    *,
    overwrite: bool,
    overwrite_texts: bool,
) -> tuple[ExportResult, ...]:
    """Write the recipe's `exports`.

    Raises:
        DataError, EnvironmentFailure, UsageError, BugError: as `write_exports`.
    """
    job = Job(
        dataset=last,
        roles=roles_of(recipe),
        tools=tools,
        scratch=folder.scratch,
        memory=folder.root,
        replaced=folder.replaced,
        owner=folder.owner,
        ready=ready,
        path_columns=recipe.path_columns(),
        overwrite=overwrite,
        overwrite_texts=overwrite_texts,
    )
    return write_exports(recipe.exports, job, folder.memory)
