"""Running a recipe on this machine: its steps, segment by segment, then the export."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from loguru import logger

import juicecap
from juicecap.data.columns import column_names
from juicecap.data.export.shards import check_folder
from juicecap.data.surroundings import check_devices, check_working_directory, quiet_datasets
from juicecap.errors import BugError, JuicecapError
from juicecap.notice import say_once
from juicecap.recipe import Recipe, missing_columns, taken_columns
from juicecap.recipe.checks.exports import export_columns
from juicecap.recipe.checks.overwrites import outputs
from juicecap.recipe.checks.paths import overwrite_problems
from juicecap.recipe.problems import failure
from juicecap.recipe.resolved import resolved_text
from juicecap.runner.cluster import answering
from juicecap.runner.exporting.in_run import write_outputs
from juicecap.runner.exporting.media_tools import MediaTools
from juicecap.runner.exporting.result_facts import result_facts
from juicecap.runner.exporting.write import media_options_of
from juicecap.runner.loading import LoadedDataset, load
from juicecap.runner.lost_samples import LostSamples
from juicecap.runner.manifest import manifest
from juicecap.runner.reporting.metrics import check_metrics
from juicecap.runner.reporting.progress import Progress
from juicecap.runner.reporting.reporter import Reporter
from juicecap.runner.reporting.status import was_unfinished_and_fresh
from juicecap.runner.result import RunResult, rejections_allowed
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.runner.run_folder.log import logging_to
from juicecap.runner.run_folder.steps_file import forget_steps
from juicecap.runner.run_steps import run_steps
from juicecap.runner.step_at_work import RunContext
from juicecap.runner.steps import StepInput, StepOutput, engines_of
from juicecap.runner.times import Stopwatch
from juicecap.secrecy import TOKENS, keep
from juicecap.vlm.backends.openai.options import DEFAULT_KEY_NAME
from juicecap.vlm.base import digest_of
from juicecap.vlm.journal import Journal

T = TypeVar("T")

GO_ON_AFTER_FRESH = "What was answered is kept: run again without --fresh to go on; with it all would be asked again."

_FRESH_AGAIN = (
    "the last run here had --fresh too and did not finish; this one asks for its answers again, without --fresh it would go on"
)

Work = Callable[[LoadedDataset, RunContext], tuple[list[StepOutput], str]]
"""What finishes ops: gives their tables, and what has to be done for the others, a sentence that is empty if all are finished."""


def run_local(
    recipe: Recipe,
    *,
    limit: int | None,
    overwrite: bool,
    overwrite_texts: bool,
    keep_edits: bool,
    retry_rejected: bool,
    fresh: bool,
    progress: Progress,
    metrics: Path | None,
    work: Work | None = None,
    promise: str = "",
    began: float | None = None,
    shards: int = 0,
) -> RunResult:
    """Run a recipe on this machine; `runner.run` documents the arguments and errors.

    `work` takes the place of the ops: a merge of `shards` has other means to come by their tables. If it leaves some of them
    undone, nothing is exported. `promise` is told with the result.
    """
    stopwatch, started = Stopwatch(began or time.monotonic()), datetime.now(UTC)
    folder = RunFolder(recipe.work_dir)
    held = folder.claimed(check_outputs(recipe, metrics), overwrite=overwrite, keep_edits=keep_edits)
    with at_work(recipe, folder, held, progress, metrics, limit, stopwatch, fresh=fresh) as (claimed, reporter):
        with stopwatch.measuring("loading"):
            loaded = load(recipe, folder.steps, limit, folder.media)
        check_columns(recipe, loaded)
        with (
            open_journal(recipe, recipe.journal, fresh=fresh, retry_rejected=retry_rejected) as journal,
            answering(recipe, loaded.dataset, folder, secret_names(recipe)) if work is None else nullcontext(tuple) as engines,
        ):
            reporter.phase("running", samples=len(loaded.everything), engines=engines)
            context = RunContext(
                recipe=recipe,
                folder=folder,
                reporter=reporter,
                journal=journal,
                stopwatch=stopwatch,
                allowed=rejections_allowed(recipe.max_rejected, len(loaded.everything)),
                use_cache=recipe.use_cache and not fresh,
                retry_rejected=retry_rejected,
            )
            with stopwatch.measuring("ops"):
                finished, todo = (work or _run_all)(loaded, context)
        last = finished[-1].stage.dataset if finished else loaded.dataset
        lost = LostSamples(recipe, loaded).write(folder, finished)
        result = RunResult(
            samples=len(loaded.everything),
            steps=(*loaded.results, *(each.result for each in finished)),
            exported=len(last),
            export_path=recipe.output,
            has_table=recipe.table is not None,
            work_dir=recipe.work_dir,
            seconds=stopwatch.seconds,
            max_rejected=recipe.max_rejected,
            next=todo,
            promise=promise,
            times=stopwatch.times(),
            shards=shards,
        )
        check_counts(result, *lost)
        if todo:
            reporter.finished(result)
            return result
        reporter.phase("exporting")
        with (
            stopwatch.measuring("export"),
            open_journal(recipe, recipe.journal, fresh=False, retry_rejected=False)
            if recipe.exports
            else nullcontext() as journal,
        ):
            tools = MediaTools(media_options_of(recipe), folder.media, journal)
            exports = write_outputs(recipe, last, folder, claimed, tools, overwrite_texts=overwrite_texts)
            folder.write_kept_edits(claimed)
        result = replace(result, exports=exports, edits=tuple(claimed.kept), seconds=stopwatch.seconds, times=stopwatch.times())
        facts = manifest(recipe, result, started, limit, reporter.engine_seconds())
        folder.write_manifest({**facts, "result": result_facts(recipe, finished)})
        reporter.finished(result)
        log_end(result)
    return replace(result, seconds=stopwatch.seconds)


def check_outputs(recipe: Recipe, metrics: Path | None) -> list[Path]:
    """Look, before anything is written, for what would prevent the outputs, and return their paths.

    Raises:
        RecipeError, UsageError, DataError, EnvironmentFailure: something does.
    """
    check_devices()
    check_working_directory()
    if wrong := overwrite_problems(recipe):
        raise failure(wrong, recipe.source.text)
    if metrics:
        check_metrics(recipe, metrics)
    written = list(outputs(recipe))
    for each in written:
        if each.is_folder:
            check_folder(each.path)
    return [each.path for each in written]


@contextmanager
def at_work(
    recipe: Recipe,
    folder: RunFolder,
    held: AbstractContextManager[T],
    progress: Progress,
    metrics: Path | None,
    limit: int | None,
    stopwatch: Stopwatch,
    *,
    fresh: bool = False,
) -> Iterator[tuple[T, Reporter]]:
    """A block in which the folder is `held`, and what happens is logged and reported; gives what that gives, and the reporter."""
    hidden, secrets = recipe.hidden, secret_names(recipe)
    with (
        hidden.in_errors(),
        held as given,
        logging_to(folder.log, secrets, hidden),
        quiet_datasets(),
    ):
        if fresh and was_unfinished_and_fresh(folder.root):
            say_once(_FRESH_AGAIN)
        with (
            Reporter(recipe, folder.root, recipe.output, progress, metrics, began=stopwatch.began, fresh=fresh) as reporter,
            hidden.in_errors(),  # before the reporter shows them
            _noting_how_to_go_on(fresh=fresh),
        ):
            _log_start(recipe, limit)
            folder.write_recipe(resolved_text(recipe))
            forget_steps(folder.root)
            for notice in recipe.notices:
                say_once(notice)
            yield given, reporter


@contextmanager
def _noting_how_to_go_on(*, fresh: bool) -> Iterator[None]:
    """A block whose errors say that with `fresh` once more the run would not go on."""
    try:
        yield
    except JuicecapError as error:
        if fresh:
            error.add_note(GO_ON_AFTER_FRESH)
        raise


def check_columns(recipe: Recipe, loaded: LoadedDataset) -> None:
    """Check the columns again, and for every format: a run from Python was not checked, and `check` does not read all files.

    Raises:
        RecipeError: one is missing, or taken.
    """
    columns = column_names(loaded.dataset.features)
    if wrong := [*missing_columns(recipe, columns), *taken_columns(recipe, columns), *export_columns(recipe, columns)]:
        raise failure(wrong, recipe.source.text)


def source(loaded: LoadedDataset, *part: object) -> StepInput:
    """The input of the first op; of one `part` of the dataset, if that is told."""
    facts = ["source", loaded.dataset._fingerprint, *part]  # noqa: SLF001  (there is no public name for it)
    return StepInput(loaded.dataset, digest_of(facts))


def check_counts(result: RunResult, rejected: int, filtered: int) -> None:
    """Check the promise that no sample is lost silently."""
    for what, count, written in (("rejected", result.rejected, rejected), ("filtered", result.filtered, filtered)):
        if count != written:
            raise BugError(f"{count} samples were {what} but {written} stand in {what}.jsonl; nothing was exported")
    if not result.chain_holds:
        raise BugError(f"the counts do not add up; nothing was exported: {result}")


def open_journal(
    recipe: Recipe, path: Path, *, fresh: bool, retry_rejected: bool, earlier: Path | None = None
) -> AbstractContextManager[Journal | None]:
    """The journal at `path`, if any of its ops asks something that takes longer than to read a header again."""
    if not any(step.op.asks() and not step.op.headers_only for step in recipe.steps):
        return nullcontext()
    return Journal(path, fresh=fresh, retry_rejected=retry_rejected, earlier=earlier)


def _run_all(loaded: LoadedDataset, context: RunContext) -> tuple[list[StepOutput], str]:
    recipe = context.recipe
    return run_steps(context, source(loaded), range(len(recipe.steps)), LostSamples(recipe, loaded)), ""


def secret_names(recipe: Recipe) -> list[str]:
    """Names of the environment variables that hold keys of servers and of stores.

    The keys are hidden from now on, also those of ops that run later, or not at all.
    """
    engines = engines_of(recipe.steps)
    names = sorted({DEFAULT_KEY_NAME, *TOKENS, *(engine.api_key_env for engine in engines if engine.api_key_env)})
    for name in names:
        keep(os.environ.get(name, "").strip(), name)
    for params in (engine.engine_params() for engine in engines):
        for name in ("token", "hf_token"):
            keep(str(params.get(name) or ""), f"model_params: {name}")
    return names


def _log_start(recipe: Recipe, limit: int | None) -> None:
    facts = {"juicecap": juicecap.__version__, "recipe": str(recipe.path), "recipe_digest": digest_of(recipe.resolved)}
    logger.bind(event="started", pid=os.getpid(), limit=limit, seed=recipe.seed, **facts).info("{} begins", recipe.path)


def log_end(result: RunResult) -> None:
    """Log that the run is done."""
    facts = {"exported": result.exported, "rejected": result.rejected, "filtered": result.filtered, "exit_code": result.exit_code}
    logger.bind(event="done", seconds=round(result.seconds, 3), **facts).info("{} samples exported", result.exported)
