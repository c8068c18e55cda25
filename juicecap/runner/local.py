"""Running a recipe on this machine: one batched map over a `datasets.Dataset` for each op, then the export."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from loguru import logger

import juicecap
from juicecap.data.export import write_export
from juicecap.data.lines import write_lines
from juicecap.data.source import open_source
from juicecap.errors import BugError, JuicecapError
from juicecap.notice import say_once
from juicecap.ops.table import rejections
from juicecap.recipe import Recipe, missing_columns
from juicecap.recipe.problems import failure
from juicecap.runner.folder import RunFolder
from juicecap.runner.progress import Progress
from juicecap.runner.result import RunResult
from juicecap.runner.steps import Finished, Stage, run_step
from juicecap.sample import HIDDEN
from juicecap.vlm import core
from juicecap.vlm.base import digest_of

if TYPE_CHECKING:
    from datasets import Dataset

TOTALS = ("filtered", "rejected", "captions", "truncated", "prompt_tokens", "completion_tokens")
"""Counts that the manifest tells for the whole run as well."""


def run_local(recipe: Recipe, *, limit: int | None, overwrite: bool, progress: Progress) -> RunResult:
    """See `runner.run`."""
    began, started = time.monotonic(), datetime.now(UTC)
    folder = RunFolder(recipe.work_dir)
    folder.claim(recipe.export_path, overwrite=overwrite)
    folder.write_recipe(recipe.resolved)
    with _logging_to(folder), _quiet_datasets():
        for notice in recipe.notices:
            say_once(notice)
        source = open_source(
            recipe.dataset_path,
            cache_folder=folder.steps,
            video_key=recipe.video_key,
            suffixes=recipe.suffixes,
            limit=limit,
        )
        # Again, and for every format: a run from Python was not checked, and `check` does not look into all files.
        if lacking := missing_columns(recipe, (name for name in source.column_names if name not in HIDDEN)):
            raise failure(lacking, recipe.source.text)
        finished = _run_steps(recipe, source, folder, progress)
        last = finished[-1].stage.dataset if finished else source
        rejected = write_lines(folder.rejected, _rejected(recipe, finished))
        result = RunResult(
            samples=len(source),
            steps=tuple(each.result for each in finished),
            exported=len(last),
            export_path=recipe.export_path,
            work_dir=recipe.work_dir,
            seconds=time.monotonic() - began,
            max_rejected=recipe.max_rejected,
        )
        _check(result, rejected)
        write_export(last, recipe.export_path, format=recipe.export_type)
        folder.write_manifest(_manifest(recipe, result, started, limit))
    return result


def _check(result: RunResult, rejected: int) -> None:
    """The promise that no sample is lost in silence."""
    if rejected != result.rejected:
        raise BugError(f"{result.rejected} samples were rejected but {rejected} stand in rejected.jsonl")
    if result.samples + result.added != result.exported + result.filtered + result.rejected:
        raise BugError(f"the counts do not add up: {result}")


def _run_steps(recipe: Recipe, source: Dataset, folder: RunFolder, progress: Progress) -> list[Finished]:
    stage = Stage(source, digest_of(["source", source._fingerprint]))  # noqa: SLF001  (there is no public name for it)
    finished: list[Finished] = []
    for number, step in enumerate(recipe.steps, start=1):
        try:
            done = run_step(step, number, len(recipe.steps), stage, folder, progress, use_cache=recipe.use_cache)
        except JuicecapError as error:
            logger.error("{}: {}", step.name, error)
            raise
        finished.append(done)
        stage = done.stage
        core.close_engines(but=[engine for later in recipe.steps[number:] for engine in later.op.engines()])
    return finished


def _rejected(recipe: Recipe, finished: list[Finished]) -> Iterator[dict[str, Any]]:
    for step, done in zip(recipe.steps, finished, strict=True):
        yield from rejections(done.table, step.name, step.op.media_keys())


def _manifest(recipe: Recipe, result: RunResult, started: datetime, limit: int | None) -> dict[str, Any]:
    return {
        "juicecap": juicecap.__version__,
        "python": platform.python_version(),
        "libraries": _versions(),
        "recipe": str(recipe.path),
        "recipe_digest": digest_of(recipe.resolved),
        "dataset_path": os.path.abspath(recipe.dataset_path) if os.path.exists(recipe.dataset_path) else recipe.dataset_path,
        "export_path": os.path.abspath(recipe.export_path),
        "seed": recipe.seed,
        "limit": limit,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(result.seconds, 3),
        "samples": result.samples,
        "exported": result.exported,
        **{name: result.total(name) for name in TOTALS},
        "steps": [
            {"op": step.op, "finished_before": step.finished_before, "seconds": round(step.seconds, 3), **asdict(step.counts)}
            for step in result.steps
        ],
    }


def _versions() -> dict[str, str]:
    """Versions of the libraries that are loaded and whose behaviour shows in the output."""
    names = {"av": "av", "datasets": "datasets", "numpy": "numpy", "torch": "torch", "transformers": "transformers"}
    return {name: metadata.version(name) for module, name in names.items() if module in sys.modules}


@contextmanager
def _logging_to(folder: RunFolder) -> Iterator[None]:
    sink = logger.add(str(folder.log).replace("{", "{{").replace("}", "}}"), serialize=True, level="INFO")
    try:
        yield
    finally:
        logger.remove(sink)


@contextmanager
def _quiet_datasets() -> Iterator[None]:
    """A run has a progress display of its own."""
    from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()
