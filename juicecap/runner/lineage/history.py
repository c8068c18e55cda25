"""The steps that a run has finished, and its tables, whether it is one run or shards that are not merged yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.table import open_arrow
from juicecap.data.writing.checksum import verify_checksum
from juicecap.errors import DataError, UsageError
from juicecap.recipe.shards import Shard
from juicecap.recipe.work_dir import SHARDS, STEPS_FILE
from juicecap.runner.reporting.shard_status import read_whole_status
from juicecap.runner.reporting.status import RunStatus
from juicecap.runner.run_folder.steps_file import NotedStep, read_steps

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Part:
    """A run, or a shard of one, with the steps that count of it."""

    folder: Path
    status: RunStatus | None
    steps: tuple[NotedStep, ...]
    behind: int = 0
    """The last step that a merge has finished: a shard is asked about later ones alone."""

    def lost_samples(self, name: str) -> Path | None:
        """The file of lost samples with this name, if this run wrote it: one that was killed did not."""
        file = self.folder / name
        if self.status is None:
            return None
        try:
            written, began = file.stat().st_mtime, datetime.fromisoformat(self.status.started).timestamp()
        except (OSError, ValueError):
            return None
        return file if self.status.state == "done" or written >= began else None

    def table(self, step: NotedStep) -> Dataset:
        """The table of a step.

        Raises:
            DataError: it is gone, or damaged.
        """
        file = self.folder / "steps" / step.table
        try:
            is_sound = verify_checksum(file)
        except OSError as error:
            raise DataError(f"{file}: {error.strerror or error}; run the recipe again, which makes it again") from None
        if not is_sound:
            raise DataError(f"{file} is damaged; run the recipe again, which makes it again")
        return open_arrow(file, step.table)


@dataclass(frozen=True)
class History:
    """What is known of a run: its parts, of which all but shards that are not merged are one."""

    folder: Path
    parts: tuple[Part, ...]
    """What a merge has finished, then the shards; of a run without shards, or one that is merged, the whole run."""
    whole: RunStatus | None
    """The status of the run, or of the merge of its shards; None: there was none."""

    @property
    def step_count(self) -> int:
        """The ops of the recipe."""
        return max((status.step_count for status in (self.whole, *(part.status for part in self.parts)) if status), default=0)

    @property
    def is_complete(self) -> bool:
        """Whether the run is done, and its output is written."""
        last = self.parts[0].steps[-1].number if self.parts[0].steps else 0
        return self.whole is not None and self.whole.state == "done" and len(self.parts) == 1 and last == self.step_count

    def steps(self) -> Iterator[tuple[Part, NotedStep]]:
        """Each finished step with each part that finished it, by number and then in the order of the samples."""
        found = [(step.number, place, part, step) for place, part in enumerate(self.parts) for step in part.steps]
        for _, _, part, step in sorted(found, key=lambda each: each[:2]):
            yield part, step


def read_history(folder: Path) -> History:
    """The history of the run in this folder.

    Raises:
        UsageError: it is not the folder of a run, or a file in it is not what a run writes, or is missing.
    """
    status = read_whole_status(folder)
    if status.merged and status.merged.state == "done" and not (folder / STEPS_FILE).exists():
        raise UsageError(
            f"{folder} has no {STEPS_FILE}: an earlier version of juicecap made it. "
            "Run the recipe again, which asks nothing twice"
        )
    whole = Part(folder, status.merged, tuple(read_steps(folder)))
    merged = whole.steps[-1].number if whole.steps else 0
    of_run = status.merged.step_count if status.merged else 0
    shards = status.shards if not merged or merged < of_run else ()
    parts = [_shard(folder, each.shard, each.status, merged) for each in shards]
    return History(folder, tuple(parts if parts and not merged else [whole, *parts]), status.merged)


def _shard(folder: Path, shard: Shard, status: RunStatus | None, merged: int) -> Part:
    own = folder / SHARDS / shard.folder
    return Part(own, status, tuple(step for step in read_steps(own) if step.number > merged), merged)
