"""Writing exports: all of them are made ready before the first is written, so that what is wrong with one is known in time."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

from loguru import logger

from juicecap.data.export.settings import Export
from juicecap.data.export.writers.captioned import Roles
from juicecap.data.export.writers.job import ExportResult, Job, Prepared
from juicecap.ops.options.media_options import MediaOptions
from juicecap.recipe import Recipe


def prepare_exports(exports: Sequence[Export], job: Job, memory: Callable[[Export], Path]) -> list[Prepared]:
    """Make exports of one dataset ready to be written; `memory` gives the file of what an export wrote.

    Raises:
        DataError, UsageError: one cannot be written.
        EnvironmentFailure: the disk is full or fails.
    """
    return [_prepared(export, replace(job, memory=memory(export))) for export in exports]


def write_prepared(prepared: Sequence[Prepared]) -> tuple[ExportResult, ...]:
    """Write exports.

    Raises:
        DataError, UsageError: one cannot be written.
        EnvironmentFailure: the disk is full or fails.
        BugError: something is not there that was written.
    """
    results = []
    for each in prepared:
        result = each.write()
        _log(result)
        results.append(result)
    return tuple(results)


def roles_of(recipe: Recipe) -> Roles:
    """What the columns of a recipe's result are for."""
    options = media_options_of(recipe)
    return Roles(
        video_key=recipe.video_key,
        image_key=recipe.image_key,
        text_key=recipe.text_key,
        tokens=(recipe.video_special_token, recipe.image_special_token, recipe.audio_special_token),
        end_of_chunk=recipe.eoc_special_token,
        video_paths=options.video_paths,
    )


def media_options_of(recipe: Recipe) -> MediaOptions:
    """The limits of media, and the columns of times, of the first op that reads media."""
    op = next((step.op for step in recipe.steps if isinstance(step.op, MediaOptions)), MediaOptions())
    return MediaOptions(**{each.name: getattr(op, each.name) for each in fields(MediaOptions)})


def _prepared(export: Export, job: Job) -> Prepared:
    module = importlib.import_module(f"juicecap.data.export.writers.{export.kind}")
    prepared: Prepared = module.prepare(export, job)
    return prepared


def _log(result: ExportResult) -> None:
    facts = {"to": str(result.to), "kind": result.kind, "rows": result.rows, "written": result.written, "removed": result.removed}
    counts = {"stayed": len(result.stayed), "left_out": dict(result.left_out), "escaped": result.escaped}
    logger.bind(event="export", **facts, **counts).info("{}: {} exported as {}", result.to, result.rows, result.kind)
