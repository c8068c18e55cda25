"""One step of a run: an op's table, made once and found again by its fingerprint."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from juicecap.data.table import open_arrow
from juicecap.errors import BugError, DataError, EnvironmentFailure
from juicecap.ops.fate import Fate
from juicecap.ops.registry import source_of
from juicecap.ops.table import Counts, counts, kept, step_table
from juicecap.runner.progress import Progress
from juicecap.runner.result import StepResult
from juicecap.sample import ORIGIN
from juicecap.vlm.base import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasets import Dataset

    from juicecap.ops.base import Op
    from juicecap.recipe import Step
    from juicecap.runner.folder import RunFolder


@dataclass(frozen=True)
class Stage:
    """A dataset between two steps, with a fingerprint of all that made it."""

    dataset: Dataset
    fingerprint: str


@dataclass(frozen=True)
class Finished:
    """A step that is done: its table, what goes on from it, and its counts."""

    table: Dataset
    stage: Stage
    result: StepResult


def run_step(
    step: Step, number: int, of: int, stage: Stage, folder: RunFolder, progress: Progress, *, use_cache: bool
) -> Finished:
    """Run one op over a dataset, or (with `use_cache`) take the table that an earlier run left."""
    began = time.monotonic()
    fingerprint = _fingerprint(step.op, stage)
    file = folder.step_file(number, step.name, fingerprint)
    table = _reopened(file, fingerprint) if use_cache else None
    found = table is not None
    progress.started(step.name, number, of, len(stage.dataset), finished=found)
    if table is None:
        table = _computed(step, stage, file, fingerprint, progress)
    progress.ended()
    counted = counts(table)
    _check(step.name, counted, len(stage.dataset))
    result = StepResult(op=step.name, counts=counted, seconds=time.monotonic() - began, finished_before=found)
    return Finished(table, Stage(kept(table), fingerprint), result)


def _computed(step: Step, stage: Stage, file: Path, fingerprint: str, progress: Progress) -> Dataset:
    """Run the op into a temporary file that becomes `file` once it is whole and on disk."""

    def watcher(fates: Sequence[Fate]) -> None:
        progress.advanced(len(fates), sum(fate.kind == "rejected" for fate in fates))

    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        table = step_table(
            step.op,
            stage.dataset,
            batch_size=step.options.batch_size,
            watcher=watcher,
            cache_file_name=str(temporary),
            load_from_cache_file=False,
            new_fingerprint=fingerprint,
        )
        if not temporary.exists():  # an empty table has no file
            return table
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError as error:
        raise EnvironmentFailure(f"{file.parent} cannot be written ({error.strerror or error}); running again resumes") from error
    finally:
        temporary.unlink(missing_ok=True)
    reopened = _reopened(file, fingerprint)
    if reopened is None:
        raise BugError(f"{file} was written and cannot be read")
    return reopened


def _reopened(file: Path, fingerprint: str) -> Dataset | None:
    """The table that an earlier run left, if there is one and it is whole."""
    if not file.exists():
        return None
    try:
        return open_arrow(file, fingerprint)
    except DataError as error:
        logger.warning("{} It is made again.", error)
        return None


def _fingerprint(op: Op, stage: Stage) -> str:
    """What the step's table depends on: input, op, user's source, model files, and size and time of all media."""
    facts = [stage.fingerprint, op.fingerprint(), source_of(type(op)), op.outside_state(), _media_state(op, stage.dataset)]
    return digest_of(facts)


def _media_state(op: Op, dataset: Dataset) -> str:
    columns = [name for name in (*op.media_columns(), ORIGIN) if name in dataset.column_names]
    if not op.media_columns() or not columns:
        return ""
    state = hashlib.blake2b(digest_size=16)
    for sample in dataset.select_columns(columns):
        for path in op.media_of(sample):
            state.update(f"{path}\0{_file_state(path)}\0".encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def _file_state(path: str) -> str:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return "absent"
    return f"{status.st_size} {status.st_mtime_ns} {os.access(path, os.R_OK)}"


def _check(op: str, counted: Counts, samples: int) -> None:
    if counted.taken != samples or counted.kept + counted.filtered + counted.rejected != samples:
        raise BugError(f"{op}: {samples} samples went in, but {counted} came out; nothing was exported")
