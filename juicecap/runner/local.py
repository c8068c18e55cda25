"""Running a recipe on this machine: its steps, segment by segment, then the export."""

from __future__ import annotations

import itertools
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from loguru import logger

import juicecap
from juicecap.data.columns import column_names
from juicecap.data.export import write_export
from juicecap.data.export.shards import check_folder
from juicecap.data.surroundings import check_devices, check_working_directory, quiet_datasets
from juicecap.errors import BugError, JuicecapError
from juicecap.notice import say_once
from juicecap.ops.apply.table import rejections
from juicecap.recipe import Recipe, missing_columns, taken_columns
from juicecap.recipe.checks.exports import export_columns
from juicecap.recipe.checks.overwrites import outputs
from juicecap.recipe.checks.paths import overwrite_problems
from juicecap.recipe.problems import failure
from juicecap.recipe.resolved import resolved_text
from juicecap.runner.exporting.in_run import write_of_run, write_table
from juicecap.runner.exporting.media_tools import MediaTools
from juicecap.runner.exporting.result_facts import export_facts, result_facts
from juicecap.runner.exporting.write import media_options_of
from juicecap.runner.loading import LoadedDataset, load
from juicecap.runner.reporting.metrics import check_metrics
from juicecap.runner.reporting.progress import Progress
from juicecap.runner.reporting.reporter import Reporter
from juicecap.runner.result import RunResult, StepResult, rejections_allowed
from juicecap.runner.retry import earlier_step
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.runner.run_folder.log import logging_to
from juicecap.runner.segment import Segment, segment_end
from juicecap.runner.step_at_work import RunContext
from juicecap.runner.steps import StepInput, StepOutput, media_state
from juicecap.secrecy import TOKENS, keep
from juicecap.vlm.backends.openai.options import DEFAULT_KEY_NAME
from juicecap.vlm.base import digest_of
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline import core

TOTALS = (
    "filtered", "rejected", "failed", "damaged", "captions", "truncated", "empty", "looping", "refused", "mixed",
    "prompt_tokens", "completion_tokens",
)  # fmt: skip
"""Counts that the manifest also has for the whole run."""


def run_local(
    recipe: Recipe,
    *,
    limit: int | None,
    overwrite: bool,
    overwrite_texts: bool,
    retry_rejected: bool,
    fresh: bool,
    progress: Progress,
    metrics: Path | None,
) -> RunResult:
    """Run a recipe on this machine; `runner.run` documents the arguments and errors."""
    began, started = time.monotonic(), datetime.now(UTC)
    check_devices()
    check_working_directory()
    if wrong := overwrite_problems(recipe):
        raise failure(wrong, recipe.source.text)
    if metrics:
        check_metrics(recipe, metrics)
    folder = RunFolder(recipe.work_dir)
    output, written = recipe.output, list(outputs(recipe))
    for each in written:
        if each.is_folder:
            check_folder(each.path)
    hidden, secrets = recipe.hidden, _secrets(recipe)
    with (
        hidden.in_errors(),
        folder.claimed([each.path for each in written], overwrite=overwrite) as ready,
        logging_to(folder.log, secrets, hidden),
        quiet_datasets(),
        Reporter(recipe, folder.root, output, progress, metrics) as reporter,
        hidden.in_errors(),  # before the reporter shows them
    ):
        _log_start(recipe, limit)
        folder.write_recipe(resolved_text(recipe))
        for notice in recipe.notices:
            say_once(notice)
        loaded = load(recipe, folder.steps, limit, folder.media)
        # Again, and for every format: a run from Python was not checked, and `check` does not read all files.
        columns = column_names(loaded.dataset.features)
        if wrong := [*missing_columns(recipe, columns), *taken_columns(recipe, columns), *export_columns(recipe, columns)]:
            raise failure(wrong, recipe.source.text)
        with _journal(recipe, fresh=fresh, retry_rejected=retry_rejected) as journal:
            reporter.phase("running", samples=len(loaded.everything))
            context = RunContext(
                recipe=recipe,
                folder=folder,
                reporter=reporter,
                journal=journal,
                allowed=rejections_allowed(recipe.max_rejected, len(loaded.everything)),
                use_cache=recipe.use_cache and not fresh,
                retry_rejected=retry_rejected,
            )
            finished = _run_steps(recipe, loaded, context)
        last = finished[-1].stage.dataset if finished else loaded.dataset
        rejected = folder.write_rejected(_rejected(recipe, loaded, finished))
        result = RunResult(
            samples=len(loaded.everything),
            steps=(*loaded.results, *(each.result for each in finished)),
            exported=len(last),
            export_path=output,
            has_table=recipe.table is not None,
            work_dir=recipe.work_dir,
            seconds=time.monotonic() - began,
            max_rejected=recipe.max_rejected,
        )
        _check(result, rejected)
        reporter.phase("exporting")
        write_table(recipe, last, folder, ready)
        if recipe.exports:
            with _journal(recipe, fresh=False, retry_rejected=False) as journal:
                tools = MediaTools(media_options_of(recipe), folder.media, journal)
                exports = write_of_run(recipe, last, folder, ready, tools, overwrite=overwrite, overwrite_texts=overwrite_texts)
            result = replace(result, exports=exports)
        facts = _manifest(recipe, result, started, limit, reporter.engine_seconds())
        folder.write_manifest({**facts, "result": result_facts(recipe, finished)})
        reporter.finished(result)
        _log_end(result)
    return result


def _check(result: RunResult, rejected: int) -> None:
    """Check the promise that no sample is lost silently."""
    if rejected != result.rejected:
        raise BugError(f"{result.rejected} samples were rejected but {rejected} stand in rejected.jsonl; nothing was exported")
    if not result.chain_holds:
        raise BugError(f"the counts do not add up; nothing was exported: {result}")


def _journal(recipe: Recipe, *, fresh: bool, retry_rejected: bool) -> AbstractContextManager[Journal | None]:
    """The recipe's journal, if any of its ops asks something that takes longer than to read a header again."""
    if not any(step.op.asks() and not step.op.headers_only for step in recipe.steps):
        return nullcontext()
    return Journal(recipe.journal, fresh=fresh, retry_rejected=retry_rejected)


def _run_steps(recipe: Recipe, loaded: LoadedDataset, context: RunContext) -> list[StepOutput]:
    source = loaded.dataset
    stage = StepInput(source, digest_of(["source", source._fingerprint]))  # noqa: SLF001  (there is no public name for it)
    finished: list[StepOutput] = []
    while len(finished) < len(recipe.steps):
        index = len(finished)
        segment: Segment | None = None
        try:
            step = recipe.steps[index]
            state = media_state(step.op, stage.dataset)
            if done := earlier_step(step, index + 1, stage, state, context):
                _finish(done, finished, context)
            else:
                segment = Segment(recipe.steps[index : segment_end(recipe, index)], index + 1, stage, state, context)
                for done in segment.run():
                    _finish(done, finished, context)
        except JuicecapError as error:
            failed = recipe.steps[len(finished)].name
            logger.bind(event="failed", op=failed).error("{}: {}", failed, error)
            with suppress(JuicecapError):  # such as a full disk, which is being reported already
                context.folder.write_rejected(_rejected(recipe, loaded, finished, segment.rejections() if segment else ()))
            raise
        stage = finished[-1].stage
        core.close_engines(but=[engine for later in recipe.steps[len(finished) :] for engine in later.op.engines()])
    return finished


def _finish(done: StepOutput, finished: list[StepOutput], context: RunContext) -> None:
    finished.append(done)
    _log_step(done.result)
    if context.recipe.keep_steps:
        file = context.folder.step_file(len(finished), done.step.name, done.stage.fingerprint)
        _keep_readable(done.stage, file, context.recipe.keep_steps, context.folder.owner)


def _keep_readable(stage: StepInput, step_file: Path, format_: str, owner: str) -> None:
    """Write a step's output as a human-readable table, unless an earlier run did."""
    table = step_file.with_suffix(f".{format_}")
    if not os.path.lexists(table):
        write_export(stage.dataset, table, owner=owner)


def _rejected(
    recipe: Recipe, loaded: LoadedDataset, finished: list[StepOutput], more: Iterable[dict[str, Any]] = ()
) -> Iterator[dict[str, Any]]:
    """The lines of `rejected.jsonl`, and `more` of them. Messages show names of variables, not values; samples are unchanged."""
    hidden = recipe.hidden
    known = (rejections(done.table, done.fates, done.step.name, done.step.op.media_keys()) for done in finished)
    for record in itertools.chain(loaded.rejections(), *known, more):
        yield {**record, "message": hidden.text(record["message"])}


def _manifest(
    recipe: Recipe, result: RunResult, started: datetime, limit: int | None, engine_seconds: list[float]
) -> dict[str, Any]:
    engines = [0.0] * (len(result.steps) - len(engine_seconds)) + engine_seconds  # loading uses no engine
    return {
        "juicecap": juicecap.__version__,
        "python": platform.python_version(),
        "libraries": _versions(),
        "recipe": str(recipe.path),
        "recipe_digest": digest_of(recipe.resolved),
        "dataset_path": os.path.abspath(recipe.dataset_path) if os.path.exists(recipe.dataset_path) else recipe.dataset_path,
        "export_path": os.path.abspath(result.export_path),
        "seed": recipe.seed,
        "limit": limit,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(result.seconds, 3),
        "samples": result.samples,
        "exported": result.exported,
        **{name: result.total(name) for name in TOTALS},
        "replayed": result.replayed,
        "asked": result.asked,
        "reasons": result.reasons,
        "max_rejected": result.max_rejected,
        "exit_code": result.exit_code,
        "exports": [export_facts(each) for each in result.exports],
        "steps": [
            {
                "op": step.op,
                "finished_before": step.finished_before,
                "tried_again": step.tried_again,
                "replayed": step.replayed,
                "asked": step.asked,
                "measured": step.measured,
                "measured_before": step.measured_before,
                "seconds": round(step.seconds, 3),
                "engine_seconds": engine,
                **asdict(step.counts),
                "reasons": dict(step.reasons),
            }
            for step, engine in zip(result.steps, engines, strict=True)
        ],
    }


def _versions() -> dict[str, str]:
    """Versions of the loaded libraries that can affect the output."""
    names = {"av": "av", "datasets": "datasets", "numpy": "numpy", "torch": "torch", "transformers": "transformers"}
    return {name: metadata.version(name) for module, name in names.items() if module in sys.modules}


def _secrets(recipe: Recipe) -> list[str]:
    """Names of the environment variables that hold keys of servers and of stores.

    The keys are hidden from now on, also those of ops that run later, or not at all.
    """
    engines = [engine for step in recipe.steps for engine in step.op.engines()]
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


def _log_step(step: StepResult) -> None:
    facts = {"op": step.op, "seconds": round(step.seconds, 3), "finished_before": step.finished_before}
    tally = {"replayed": step.replayed, "asked": step.asked, "measured": step.measured, "reasons": dict(step.reasons)}
    counts = step.counts
    logger.bind(event="step", **facts, **tally, **asdict(counts)).info(
        "{}: {} taken, {} kept, {} filtered, {} rejected, {} given",
        *(step.op, counts.taken, counts.kept, counts.filtered, counts.rejected, counts.given),
    )


def _log_end(result: RunResult) -> None:
    facts = {"exported": result.exported, "rejected": result.rejected, "filtered": result.filtered, "exit_code": result.exit_code}
    logger.bind(event="done", seconds=round(result.seconds, 3), **facts).info("{} samples exported", result.exported)
