"""One shard at work: it applies the ops of the present phase to its part of the records, and notes what it has finished."""

from __future__ import annotations

import operator
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.recipe.resolved import resolved_text
from juicecap.recipe.shards import Phase, Shard
from juicecap.runner import local
from juicecap.runner.cluster import answering
from juicecap.runner.lost_samples import LostSamples
from juicecap.runner.manifest import manifest
from juicecap.runner.reporting.progress import Progress
from juicecap.runner.result import RunResult, rejections_allowed
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.runner.run_steps import run_steps
from juicecap.runner.shards.conditions import MADE_BY
from juicecap.runner.shards.record import Record, StepRecord, read_record, record_file, write_record
from juicecap.runner.shards.signatures import signing_conditions, take_signatures
from juicecap.runner.shards.work import Work, work_of
from juicecap.runner.step_at_work import RunContext
from juicecap.runner.steps import StepOutput, engines_of
from juicecap.runner.times import Stopwatch
from juicecap.vlm.pipeline import core

if TYPE_CHECKING:
    from juicecap.recipe import Recipe
    from juicecap.vlm.journal import Journal


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a shard is run; `runner.run` documents the fields. `keeps_engines`: another shard follows in this process."""

    limit: int | None = None
    retry_rejected: bool = False
    fresh: bool = False
    progress: Progress
    metrics: Path | None = None
    keeps_engines: bool = False
    began: float | None = None

    def going_on(self) -> Options:
        """The same for the phases behind a merge: what was done before it stays."""
        return replace(self, fresh=False, retry_rejected=False, began=None)


def run_shard(recipe: Recipe, shard: Shard, options: Options) -> RunResult:
    """Run one shard of the recipe, as far as it can go before a merge; the result is that of the last phase.

    Raises:
        JuicecapError: as `runner.run`; the dataset is not that of the other shards.
    """
    local.check_outputs(recipe, options.metrics)
    whole, number = RunFolder(recipe.work_dir), 1
    while True:
        result, number = _run_phase(recipe, shard, whole, options, number)
        if not number:
            return result
        options = replace(options, began=None)


def _run_phase(recipe: Recipe, shard: Shard, whole: RunFolder, options: Options, first: int) -> tuple[RunResult, int]:
    """Run the phase that is due, from number `first` on; also returns the number of the next one, 0 if a merge comes first."""
    stopwatch, started = Stopwatch(options.began or time.monotonic()), datetime.now(UTC)
    folder, limit = whole.shard(shard), options.limit
    held = folder.held()
    with local.at_work(recipe, folder, held, options.progress, options.metrics, limit, stopwatch, fresh=options.fresh) as (
        _,
        reporter,
    ):
        again = options.fresh or options.retry_rejected
        with stopwatch.measuring("loading"):
            work = work_of(recipe, shard, whole, options.limit, first, again=again)
        before = read_record(folder.root, work.phase.number)
        how = {"fresh": options.fresh, "retry_rejected": options.retry_rejected}
        if recipe.source.is_mapping:  # there is no other file that a merge could be told
            whole.write_recipe(resolved_text(recipe))
        with (
            local.open_journal(recipe, folder.journal, earlier=recipe.journal, **how) as journal,
            answering(recipe, work.loaded.dataset, folder, local.secret_names(recipe)) as engines,
        ):
            reporter.phase("running", samples=len(work.loaded.everything), engines=engines)
            context = RunContext(
                recipe=recipe,
                folder=folder,
                reporter=reporter,
                journal=journal,
                stopwatch=stopwatch,
                allowed=rejections_allowed(recipe.max_rejected, work.records),
                use_cache=recipe.use_cache and not options.fresh,
                retry_rejected=options.retry_rejected,
                end=work.phase.barrier,
                keeps_engines=True,
            )
            with stopwatch.measuring("ops"):
                finished = _finished(work, context)
            models = _models(recipe, work.phase, before, finished, journal)
            stage = finished[-1].stage if finished else work.stage
            signatures = take_signatures(recipe, work.phase, stage, folder, use_cache=context.use_cache)
        lost = LostSamples(recipe, work.loaded).write(folder, finished)
        conditions = {**work.conditions, "models": models, **signing_conditions(recipe, work.phase)}
        record, goes_on = Record(work.rows, conditions, _step_records(finished), signatures), work.is_merged
        if not _is_noted(before, record, finished):
            _reopen(whole, work.phase)
            write_record(folder.root, work.phase.number, record)
            goes_on = False
        result = _result(recipe, shard, work, finished, folder, stopwatch)
        local.check_counts(result, *lost)
        folder.write_manifest(manifest(recipe, result, started, options.limit, reporter.engine_seconds()))
        reporter.finished(result)
        local.log_end(result)
    if not options.keeps_engines:
        core.close_engines()
    return result, work.phase.number + 1 if goes_on else 0


def _finished(work: Work, context: RunContext) -> list[StepOutput]:
    lost = LostSamples(context.recipe, work.loaded)
    return run_steps(context, work.stage, range(work.phase.start, work.phase.barrier), lost)


def _models(
    recipe: Recipe, phase: Phase, before: Record | None, finished: list[StepOutput], journal: Journal | None
) -> list[str]:
    """The identities of the phase's engines. If nothing was done, they are those that are noted already."""
    if before and all(done.result.finished_before for done in finished) and isinstance(before.conditions.get("models"), list):
        return list(before.conditions["models"])
    return core.identities(engines_of(recipe.steps[phase.start : phase.barrier]), journal)


def _step_records(finished: list[StepOutput]) -> tuple[StepRecord, ...]:
    return tuple(StepRecord.of(done, done.table._fingerprint) for done in finished)  # noqa: SLF001  (there is no public name for it)


def _is_noted(before: Record | None, record: Record, finished: Sequence[StepOutput]) -> bool:
    """Whether nothing was done, and the tables are noted already: then figures and circumstances of who made them stay."""
    if before is None or not all(done.result.finished_before for done in finished):
        return False
    tables = ([each.signatures, *((step.fingerprint, step.output) for step in each.steps)] for each in (before, record))
    rest = ({name: value for name, value in each.conditions.items() if name not in MADE_BY} for each in (before, record))
    return before.rows == record.rows and operator.eq(*tables) and operator.eq(*rest)


def _reopen(whole: RunFolder, phase: Phase) -> None:
    """The tables of this phase change, so what was merged of them, and of later phases, holds no more."""
    number = phase.number
    while (file := record_file(whole.shards, number)).exists():
        file.unlink(missing_ok=True)
        number += 1


def _result(
    recipe: Recipe, shard: Shard, work: Work, finished: list[StepOutput], folder: RunFolder, stopwatch: Stopwatch
) -> RunResult:
    dataset = finished[-1].stage.dataset if finished else work.loaded.dataset
    first, end = work.rows
    of = f"rows {first + 1:,} to {end:,}" if end > first else "no rows"
    return RunResult(
        samples=len(work.loaded.everything),
        steps=(*work.loaded.results, *(done.result for done in finished)),
        exported=len(dataset),
        export_path=recipe.output,
        work_dir=folder.root,
        seconds=stopwatch.seconds,
        times=stopwatch.times(),
        max_rejected=recipe.max_rejected,
        next=f"shard {shard} ({of}) is done; when all are: juicecap merge {recipe.path}",
    )
