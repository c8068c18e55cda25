"""The outputs of a run: the table at `export_path`, and what the recipe wants besides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from juicecap.data.edits.written_rows import Layout
from juicecap.data.export import format_of, write_export
from juicecap.data.export.media_paths import with_paths
from juicecap.data.export.writers.job import ExportResult, Job, MediaTools
from juicecap.nested import split_name
from juicecap.recipe import Recipe
from juicecap.runner.exporting.write import prepare_exports, roles_of, write_prepared
from juicecap.runner.run_folder.claimed_outputs import ClaimedOutputs
from juicecap.runner.run_folder.folder import RunFolder

if TYPE_CHECKING:
    from datasets import Dataset


def write_outputs(
    recipe: Recipe,
    last: Dataset,
    folder: RunFolder,
    outputs: ClaimedOutputs,
    tools: MediaTools,
    *,
    overwrite_texts: bool,
) -> tuple[ExportResult, ...]:
    """Write the table and the recipe's `exports`, once all of them are known to be writable; returns what the latter wrote.

    Raises:
        DataError, EnvironmentFailure, UsageError, BugError: as `write_export` and `write_exports`.
    """
    table = _table(recipe, last, folder, outputs) if recipe.export_path and recipe.table else None
    job = Job(
        dataset=last,
        roles=roles_of(recipe),
        tools=tools,
        scratch=folder.scratch,
        memory=folder.root,
        replaced=outputs.replaced,
        owner=folder.owner,
        ready=outputs.ready,
        with_edits=outputs.with_edits,
        path_columns=recipe.path_columns(),
        overwrite=outputs.overwrite,
        overwrite_texts=overwrite_texts,
    )
    prepared = prepare_exports(recipe.exports, job, folder.memory)
    if table is not None:
        _write_table(recipe, table, folder, outputs)
    return write_prepared(prepared)


def _table(recipe: Recipe, last: Dataset, folder: RunFolder, outputs: ClaimedOutputs) -> Dataset:
    """The table for `export_path`, with the edits that are kept."""
    assert recipe.export_path
    assert recipe.table
    at = recipe.table if recipe.export_shard_size else recipe.table.parent
    columns = recipe.path_columns()
    table = with_paths(last, *columns, at.absolute(), recipe.export_paths, folder.steps)
    name = format_of(recipe.export_path, recipe.export_type)
    media = {split_name(column, table.column_names)[0] for column in columns[0]}
    return outputs.with_edits(recipe.table, table, Layout.of(table, name, media, csv_formulas=recipe.export_csv_formulas))


def _write_table(recipe: Recipe, table: Dataset, folder: RunFolder, outputs: ClaimedOutputs) -> None:
    assert recipe.export_path
    assert recipe.table
    write_export(
        table,
        recipe.export_path,
        format=recipe.export_type,
        shard_size=recipe.export_shard_size,
        owner=folder.owner,
        ready=outputs.ready(recipe.table),
        csv_formulas=recipe.export_csv_formulas,
    )
