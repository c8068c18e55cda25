"""The statuses of all shards of a run, read from their folders. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from juicecap.errors import UsageError
from juicecap.recipe.shards import Shard, all_shards, shard_in
from juicecap.recipe.work_dir import SHARDS
from juicecap.runner.reporting.status import FILE, RunStatus, read_status


@dataclass(frozen=True)
class ShardStatus:
    """A shard with its status; None: it has not begun, or what it wrote cannot be read."""

    shard: Shard
    status: RunStatus | None


@dataclass(frozen=True)
class WholeStatus:
    """A run that may be one of shards. `merged`: of the merge, or of a run without shards; None: there was none."""

    merged: RunStatus | None
    shards: tuple[ShardStatus, ...]

    @property
    def at_work(self) -> bool:
        """Whether anything of it goes on."""
        return any(each.at_work for each in (self.merged, *(each.status for each in self.shards)) if each)


def read_whole_status(folder: Path) -> WholeStatus:
    """The status of this folder's run and of its shards.

    Raises:
        UsageError: it is not the folder of a run.
    """
    shards = tuple(ShardStatus(shard, _status(folder / SHARDS / shard.folder)) for shard in _shards(folder))
    merged = read_status(folder) if not shards or (folder / FILE).exists() else None
    return WholeStatus(merged, shards)


def _shards(folder: Path) -> list[Shard]:
    """All shards of each number of shards of which there are some."""
    try:
        there = [shard for each in (folder / SHARDS).iterdir() if (shard := shard_in(each.name))]
    except OSError:
        return []
    return [shard for count in sorted({each.count for each in there}) for shard in all_shards(count)]


def _status(folder: Path) -> RunStatus | None:
    try:
        return read_status(folder)
    except UsageError:
        return None
