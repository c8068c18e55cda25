"""Making one run of shards: tables and journals are merged, ops that need the whole dataset decide, and the output is written.

A merge is a run of the recipe in its run folder that takes its tables from the shards. So the output, `rejected.jsonl` and the
manifest are written, counted and replaced as by any run. No table is taken before all shards are proven to be there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.errors import DataError
from juicecap.recipe.shards import Phase, Shard, all_shards, phases
from juicecap.runner import local
from juicecap.runner.loading import LoadedDataset
from juicecap.runner.lost_samples import LostSamples
from juicecap.runner.reporting.progress import Progress
from juicecap.runner.result import RunResult
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.runner.run_steps import run_steps
from juicecap.runner.shards.answers import merge_journals, settle
from juicecap.runner.shards.conditions import merge_conditions
from juicecap.runner.shards.dataset import facts_of
from juicecap.runner.shards.proof import check_at_rest, count_of, has_begun, noted_limit, proven
from juicecap.runner.shards.record import Record, StepRecord, write_record
from juicecap.runner.shards.shard import Options, run_shard
from juicecap.runner.shards.signatures import merged_signatures
from juicecap.runner.shards.tables import merged_steps
from juicecap.runner.step_at_work import RunContext
from juicecap.runner.steps import StepInput, StepOutput
from juicecap.vlm.pipeline import core

if TYPE_CHECKING:
    from juicecap.recipe import Recipe


class OtherAnswers(DataError):
    """Shards had other answers than lower ones to the same questions, have these now, and are to make their tables again."""

    def __init__(self, recipe: Recipe, shards: Sequence[Shard]) -> None:
        commands = "".join(f"\n  juicecap run {recipe.path} --shard {shard}" for shard in shards)
        super().__init__(
            "Some questions were asked in several shards, and answered otherwise. The answer of the lowest shard holds; make the "
            f"tables of the others again, for which nothing is asked, and merge again:{commands}"
        )
        self.shards = tuple(shards)


def merge_shards(
    recipe: Recipe,
    *,
    count: int | None,
    overwrite: bool,
    overwrite_texts: bool,
    keep_edits: bool,
    progress: Progress,
    metrics: Path | None,
    began: float | None = None,
) -> RunResult:
    """Merge the shards of a recipe; `runner.merge` documents the arguments and errors."""
    whole = RunFolder(recipe.work_dir)
    count = count_of(recipe, whole, count)
    check_at_rest(recipe, whole, count)
    limit = noted_limit(whole, count)
    return local.run_local(
        recipe,
        limit=limit,
        overwrite=overwrite,
        overwrite_texts=overwrite_texts,
        keep_edits=keep_edits,
        retry_rejected=False,
        fresh=False,
        progress=progress,
        metrics=metrics,
        work=_Merge(recipe, whole, count, limit),
        promise=promise(recipe, count),
        began=began,
        shards=count,
    )


def run_all(
    recipe: Recipe, count: int, options: Options, *, overwrite: bool, overwrite_texts: bool, keep_edits: bool
) -> RunResult:
    """Run all shards one after the other in this process, and merge them, phase by phase, until there is an output.

    Raises:
        JuicecapError: as `run_shard` and `merge_shards`.
    """
    due, began = all_shards(count), options.began or time.monotonic()
    while True:
        for shard in due:
            run_shard(recipe, shard, options)
            options = replace(options, began=None)
        core.close_engines()
        options = options.going_on()
        try:
            result = merge_shards(
                recipe,
                count=count,
                overwrite=overwrite,
                overwrite_texts=overwrite_texts,
                keep_edits=keep_edits,
                progress=options.progress,
                metrics=options.metrics,
            )
        except OtherAnswers as told:
            due = list(told.shards)
            continue
        if not result.next:
            return replace(result, seconds=time.monotonic() - began)
        due = all_shards(count)


def promise(recipe: Recipe, count: int) -> str:
    """What holds for the output beside that of one run, a sentence."""
    if all(step.options.batch_size == 1 for step in recipe.steps if step.op.uses_model()):
        return "those of one run"
    return (
        f"those of `juicecap run --shards {count}`; beside a run without shards, keys, seeds, order and fates are equal, and "
        "texts as far as they do not depend on what else is in a batch"
    )


class _Merge:
    """What a merge does in place of the ops (`local.Work`)."""

    def __init__(self, recipe: Recipe, whole: RunFolder, count: int, limit: int | None) -> None:
        self._recipe, self._whole, self._count, self._limit = recipe, whole, count, limit
        self._finished: list[StepOutput] = []

    def __call__(self, loaded: LoadedDataset, context: RunContext) -> tuple[list[StepOutput], str]:
        """Merge phase after phase, as far as the shards have come."""
        facts = facts_of(loaded.everything, self._limit)
        stage, rows, input_, all_phases = local.source(loaded), len(loaded.everything), "", phases(self._recipe)
        for phase in all_phases:
            wanted = merge_conditions(self._recipe, phase, facts, input_)
            if phase.number > 1 and not has_begun(self._whole, self._count, phase, wanted):
                return self._finished, self._next(phase)
            records = proven(self._recipe, self._whole, self._count, phase, wanted, rows)
            if phase.number == 1:
                self._settle_answers(context)
            stage = merged_steps(context, phase, records, stage, self._finished)
            signatures = merged_signatures(self._recipe, phase, records, self._whole, len(stage.dataset))
            known = {} if signatures is None else {phase.barrier + 1: signatures}
            stage = self._decided(replace(context, end=phase.end, signatures=known), loaded, phase, stage)
            self._note(phase, rows, wanted)
            rows, input_ = len(stage.dataset), stage.fingerprint
        return self._finished, ""

    def _settle_answers(self, context: RunContext) -> None:
        """Merge the journals. What shards ask that are to be run again, they find there."""
        shards = all_shards(self._count)
        for shard in shards:
            self._whole.shard(shard).sweep()
        if context.journal:
            merge_journals(self._whole, shards, context.journal)
        if others := settle(self._whole, shards):
            raise OtherAnswers(self._recipe, others)

    def _decided(self, context: RunContext, loaded: LoadedDataset, phase: Phase, stage: StepInput) -> StepInput:
        """The output of the ops that run at the merge."""
        lost = LostSamples(self._recipe, loaded, self._finished)
        decided = run_steps(context, stage, range(phase.barrier, phase.end), lost)
        self._finished += decided
        return decided[-1].stage if decided else stage

    def _note(self, phase: Phase, rows: int, wanted: dict[str, Any]) -> None:
        done = self._finished[phase.start : phase.end]
        steps = tuple(StepRecord.of(each, each.table._fingerprint) for each in done)  # noqa: SLF001  (there is no public name for it)
        write_record(self._whole.shards, phase.number, Record((0, rows), wanted, steps))

    def _next(self, phase: Phase) -> str:
        decided, follows = self._recipe.steps[phase.start - 1].label, self._recipe.steps[phase.start].label
        return (
            f"{decided} has decided, and {follows} is next: run all shards again, juicecap run {self._recipe.path} --shard "
            f"1/{self._count} and so on, and merge again"
        )
