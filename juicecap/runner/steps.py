"""One step of a run: an op's table, built once and cached under its fingerprint."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from juicecap.data.table import open_arrow, open_cached, write_arrow
from juicecap.data.writing.atomic import sync_folder, write_error
from juicecap.data.writing.checksum import append_checksum
from juicecap.errors import BugError
from juicecap.media.access.picture_folder import medium_state
from juicecap.nested import split_name
from juicecap.ops.apply.fate import Fate
from juicecap.ops.apply.table import Failed, Fates, Rows, fates_of, kept, step_table
from juicecap.ops.registry import source_of
from juicecap.ops.whole_dataset import WholeDatasetOp
from juicecap.runner.failure_guard import FailureGuard
from juicecap.runner.reporting.reporter import Reporter
from juicecap.runner.result import StepResult
from juicecap.runner.retry import merged, to_try_again
from juicecap.sample import ORIGIN
from juicecap.vlm.base import digest_of
from juicecap.vlm.journal import Journal

if TYPE_CHECKING:
    from datasets import Dataset

    from juicecap.ops.base import Op
    from juicecap.recipe import Step
    from juicecap.runner.run_folder.folder import RunFolder

TABLE_VERSION = 3
"""Part of each fingerprint. Increase it when tables are built differently, so that old ones are not reused."""

COUNTED_FOR = 5.0
"""Seconds for counting, before a step, the answers that the journal has for it: enough for tens of thousands of samples."""


@dataclass(frozen=True)
class StepInput:
    """A dataset between two steps, with a fingerprint of everything that it depends on."""

    dataset: Dataset
    fingerprint: str


@dataclass(frozen=True)
class StepOutput:
    """A finished step: its table with the fates, the input of the next step, and its counts."""

    table: Dataset
    fates: Fates
    stage: StepInput
    result: StepResult


def run_step(
    step: Step,
    number: int,
    stage: StepInput,
    folder: RunFolder,
    reporter: Reporter,
    watch: FailureGuard,
    *,
    begin: Callable[[], None],
    journal: Journal | None,
    use_cache: bool,
    retry_rejected: bool,
) -> StepOutput:
    """Run one op over a dataset, or (with `use_cache`) take the table that an earlier run left.

    `begin` is called before the first sample that the op is applied to.
    In such a table, samples that failed for a temporary reason are retried; with `retry_rejected` all that failed.
    """
    began = time.monotonic()
    tally = (journal.replayed, journal.asked) if journal else (0, 0)
    work = StepBuilder(step, stage, folder, number, reporter, watch, journal)
    table = open_cached(work.file, work.fingerprint) if use_cache else None
    fates = fates_of(table) if table is not None else None
    again = to_try_again(step.op, fates, permanent=retry_rejected) if fates else []
    found = fates is not None and not again
    if again and isinstance(step.op, WholeDatasetOp):
        table = fates = None
    samples = len(again) if fates and again else len(stage.dataset)
    if samples and not found:
        begin()
    reporter.started(step.name, number, samples, asks=step.op.uses_model(), finished=found)
    if table is None or fates is None:
        table = work.computed()
        fates = fates_of(table)
    elif again:
        table = work.tried_again(table, again)
        fates = fates_of(table)
    if journal:
        journal.flush()
    _check(step.name, fates, len(stage.dataset))
    watch.check(table, fates)
    result = StepResult(
        op=step.name,
        counts=fates.counts,
        reasons=fates.reasons,
        seconds=time.monotonic() - began,
        finished_before=found,
        tried_again=len(again),
        replayed=journal.replayed - tally[0] if journal else 0,
        asked=journal.asked - tally[1] if journal else 0,
    )
    reporter.ended(result)
    passed_on = digest_of([work.fingerprint, fates.state]) if fates.state else work.fingerprint
    return StepOutput(table, fates, StepInput(kept(table, fates), passed_on), result)


class StepBuilder:
    """Builds the table of one step, under a temporary name until it is complete and on disk."""

    def __init__(
        self,
        step: Step,
        stage: StepInput,
        folder: RunFolder,
        number: int,
        reporter: Reporter,
        watch: FailureGuard,
        journal: Journal | None,
    ) -> None:
        self._step = step
        self._stage = stage
        self._reporter = reporter
        self._watch = watch
        self._journal = journal
        self._keep_failed = watch.on_error == "keep"
        self.fingerprint = _fingerprint(step, stage, keep_failed=self._keep_failed)
        self.file = folder.step_file(number, step.name, self.fingerprint)
        self._unfinished = folder.scratch / self.file.name

    def computed(self) -> Dataset:
        """The op over the whole dataset."""
        self._watch.begin(self._journal)
        table = self._apply(self._stage.dataset, self._watch, ())
        self._watch.end()
        if not self._unfinished.exists():
            return table  # an empty one, which has no file
        try:
            append_checksum(self._unfinished)
        except OSError as error:
            raise write_error(self._unfinished, error) from error
        return self._finished(self._unfinished)

    def tried_again(self, table: Dataset, again: Sequence[Failed]) -> Dataset:
        """The op over the samples that failed, and its table as if all had been done at once."""
        samples = self._stage.dataset.select([failed.sample for failed in again])
        fresh = self._apply(samples, None, [failed.attempts for failed in again])
        both = self._unfinished.with_suffix(".merged")
        write_arrow(both, table.data.schema, merged(table, again, fresh))
        return self._finished(both)

    def _apply(self, dataset: Dataset, watch: FailureGuard | None, attempts: Sequence[int]) -> Dataset:
        def watcher(fate: Fate) -> None:
            self._reporter.count(fate)
            if watch:
                watch.observe(fate)

        self._foresee(dataset)
        try:
            return step_table(
                self._step.op,
                dataset,
                batch_size=self._step.options.batch_size,
                watcher=watcher,
                keep_failed=self._keep_failed,
                attempts=attempts,
                journal=self._journal,
                cache_file_name=str(self._unfinished),
                load_from_cache_file=False,
                new_fingerprint=self.fingerprint,
            )
        except OSError as error:
            raise write_error(self._unfinished.parent, error) from error

    def _foresee(self, dataset: Dataset) -> None:
        """Report how many answers the journal has, if any."""
        if self._journal is None or self._journal.empty():
            return
        rows = Rows(dataset.with_format(None), self._step.op.default_batch_size)
        if forecast := self._step.op.forecast(rows, self._journal, COUNTED_FOR):
            logger.info(
                "{}: {} answers are in the journal, {} are to be asked", self._step.name, forecast.replayed, forecast.asked
            )
            self._reporter.forecast(forecast.replayed, forecast.asked, whole=forecast.whole)

    def _finished(self, unfinished: Path) -> Dataset:
        try:
            with unfinished.open("rb") as stream:
                os.fsync(stream.fileno())
            unfinished.replace(self.file)
            sync_folder(self.file.parent)
        except OSError as error:
            raise write_error(self.file, error) from error
        return open_arrow(self.file, self.fingerprint)


def _fingerprint(step: Step, stage: StepInput, *, keep_failed: bool) -> str:
    """What the step's table depends on: input, op, user's source, model files, and the state of all media."""
    op = step.op
    facts = [stage.fingerprint, op.fingerprint(), source_of(type(op)), op.external_fingerprint(), _media_state(op, stage.dataset)]
    return digest_of([TABLE_VERSION, keep_failed, *facts])


def _media_state(op: Op, dataset: Dataset) -> str:
    there = dataset.column_names
    columns = dict.fromkeys(key for name in (*op.media_sources(), ORIGIN) if (key := split_name(name, there)[0]) in there)
    if not op.media_columns() or not columns:
        return ""
    state = hashlib.blake2b(digest_size=16)
    for sample in dataset.select_columns(list(columns)):
        for path in op.media_of(sample):
            state.update(f"{path}\0{_file_state(path)}\0".encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def _file_state(path: str) -> str:
    state = medium_state(path)
    return f"{tuple(state)} {os.access(path, os.R_OK)}" if state else "absent"


def _check(op: str, fates: Fates, samples: int) -> None:
    counted = fates.counts
    if counted.taken != samples or counted.kept + counted.filtered + counted.rejected != samples:
        raise BugError(f"{op}: {samples} samples went in, but {counted} came out; nothing was exported")
