"""Steps of a run: what a step's table depends on, tables that earlier runs left, and sealing new ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from juicecap.data.table import CHUNK, open_arrow
from juicecap.data.writing.atomic import sync_folder, write_error
from juicecap.data.writing.checksum import append_checksum
from juicecap.errors import BugError
from juicecap.media.access.picture_folder import medium_state
from juicecap.nested import split_name
from juicecap.ops.apply.table import Fates, Rows, kept
from juicecap.ops.registry import source_of
from juicecap.runner.result import StepResult
from juicecap.sample import ORIGIN, Sample
from juicecap.vlm.base import ModelSettings, digest_of

if TYPE_CHECKING:
    from datasets import Dataset

    from juicecap.ops.base import Op
    from juicecap.recipe import Step

TABLE_VERSION = 3
"""Part of each fingerprint. Increase it when tables are built differently, so that old ones are not reused."""


@dataclass(frozen=True)
class StepInput:
    """A dataset between two steps, with a fingerprint of everything that it depends on."""

    dataset: Dataset
    fingerprint: str


@dataclass(frozen=True)
class StepOutput:
    """A finished step: its table with the fates, the input of the next step, and its counts."""

    step: Step
    table: Dataset
    fates: Fates
    stage: StepInput
    result: StepResult


class MediaState:
    """A hash of the states of all media that an op reads, taken before it reads them."""

    def __init__(self, op: Op) -> None:
        self._op = op
        self._hash = hashlib.blake2b(digest_size=16)
        self._reads = bool(op.media_columns())

    def add(self, sample: Sample) -> None:
        """Take the next sample's media."""
        if self._reads:
            for path in self._op.media_of(sample):
                self._hash.update(f"{path}\0{_file_state(path)}\0".encode("utf-8", "surrogateescape"))

    def digest(self, there: Sequence[str]) -> str:
        """The hash; empty if the op reads no media, or the samples, whose columns are `there`, have none of its columns."""
        return self._hash.hexdigest() if self._reads and columns_read(self._op, there) else ""


def media_state(op: Op, dataset: Dataset) -> str:
    """The `MediaState` of a whole dataset."""
    state, there = MediaState(op), dataset.column_names
    if op.media_columns() and (columns := columns_read(op, there)):
        for sample in Rows(dataset.select_columns(columns), CHUNK):
            state.add(sample)
    return state.digest(there)


def engines_of(steps: Iterable[Step]) -> tuple[ModelSettings, ...]:
    """The engines that these steps use, each once."""
    return tuple(dict.fromkeys(engine for step in steps for engine in step.op.engines()))


def columns_read(op: Op, there: Sequence[str]) -> list[str]:
    """The columns of samples that tell which media an op reads, among those that are there."""
    return list(dict.fromkeys(key for name in (*op.media_sources(), ORIGIN) if (key := split_name(name, there)[0]) in there))


def step_fingerprint(step: Step, input_: str, media: str, *, keep_failed: bool) -> str:
    """What a step's table depends on: its input, the op, a user's source and tasks, model files, and the state of all media."""
    op = step.op
    facts: list[Any] = [input_, op.fingerprint(), source_of(type(op)), op.external_fingerprint(), media]
    if tasks := [[task.name, task.version, task.source] for task in op.tasks()]:
        facts.append(tasks)
    return digest_of([TABLE_VERSION, keep_failed, *facts])


def finished_step(
    step: Step, before: StepInput, table: Dataset, fates: Fates, fingerprint: str, result: StepResult
) -> StepOutput:
    """A step with its table. Failures are part of the fingerprint of its output.

    Raises:
        BugError: a sample has no fate, or two.
    """
    counts, samples = fates.counts, len(before.dataset)
    if counts.taken != samples or counts.kept + counts.filtered + counts.rejected != samples:
        raise BugError(f"{step.label}: {samples} samples went in, but {counts} came out; nothing was exported")
    passed_on = digest_of([fingerprint, fates.state]) if fates.state else fingerprint
    return StepOutput(step, table, fates, StepInput(kept(table, fates), passed_on), result)


def seal(unfinished: Path, file: Path, fingerprint: str) -> Dataset:
    """Give a table that is written its checksum and its name, and open it.

    Raises:
        EnvironmentFailure: the disk is full.
    """
    try:
        append_checksum(unfinished)
        with unfinished.open("rb") as stream:
            os.fsync(stream.fileno())
        unfinished.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        raise write_error(file, error) from error
    return open_arrow(file, fingerprint)


def _file_state(path: str) -> str:
    state = medium_state(path)
    return f"{tuple(state)} {os.access(path, os.R_OK)}" if state else "absent"
