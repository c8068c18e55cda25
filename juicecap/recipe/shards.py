"""Shards of a run, and what is done where: which ops run in the shards, and which at the merge.

A shard is a contiguous part of the records. Ops that take samples one by one run in the shards. An op that needs the whole
dataset is a barrier: it runs at the merge, and so do the ops behind it as long as they ask nothing. Then a new **phase** begins,
in which what was kept is split into shards anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from juicecap.errors import UsageError
from juicecap.ops.apply.applied import stands_alone
from juicecap.ops.whole_dataset import Deduplicator
from juicecap.recipe.types import Recipe, Step

MOST_SHARDS = 512
"""The largest number of shards: a merge has the journals of all of them open at once."""

_WRITTEN = re.compile(r"(\d{1,9})/(\d{1,9})")
_FOLDER = re.compile(r"(\d{2,3})-of-(\d{2,3})")


@dataclass(frozen=True, order=True)
class Shard:
    """One of `count` shards; the first has the number 1."""

    count: int
    number: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def folder(self) -> str:
        """The name of its folder in `shards/`."""
        return folder_name(self.number, self.count)

    def bounds(self, rows: int) -> tuple[int, int]:
        """Its first row, and the one behind its last: all shards together have each row once, in order."""
        return rows * (self.number - 1) // self.count, rows * self.number // self.count


@dataclass(frozen=True)
class Phase:
    """Ops `start` to `barrier` (from 0, the last one excluded) run in the shards, those from there to `end` at the merge."""

    number: int
    start: int
    barrier: int
    end: int


def folder_name(number: int, count: int) -> str:
    """The name of a shard's folder: `03-of-64`."""
    digits = max(2, len(str(count)))
    return f"{number:0{digits}}-of-{count:0{digits}}"


def shard_in(folder: str) -> Shard | None:
    """The shard whose folder has this name; None if it is the name of none."""
    found = _FOLDER.fullmatch(folder)
    shard = Shard(int(found[2]), int(found[1])) if found else None
    return shard if shard and 1 <= shard.number <= shard.count <= MOST_SHARDS and shard.folder == folder else None


def read_shard(text: str) -> Shard:
    """The shard that `K/N` names.

    Raises:
        UsageError: there is no such shard.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if not found:
        raise UsageError(f"--shard {text[:40]} names no shard: write K/N, such as 3/64, the third of 64")
    number, count = int(found[1]), int(found[2])
    check_count(count)
    if number == 0:
        raise UsageError(
            f"--shard {text} names no shard: they are counted from 1, so 1/{count} is the first and {count}/{count} the last. "
            f"In a job array that counts from 0, write --shard $((SLURM_ARRAY_TASK_ID + 1))/{count}, or let it count from 1"
        )
    if number > count:
        raise UsageError(f"--shard {text} names no shard: the last one is {count}/{count}")
    return Shard(count, number)


def check_count(count: int) -> None:
    """Refuse numbers of shards that cannot be.

    Raises:
        UsageError: there are none, or too many.
    """
    if not 1 <= count <= MOST_SHARDS:
        raise UsageError(f"{count} shards cannot be: there are 1 to {MOST_SHARDS}")


def all_shards(count: int) -> list[Shard]:
    """The shards, in order."""
    return [Shard(count, number) for number in range(1, count + 1)]


def phases(recipe: Recipe) -> list[Phase]:
    """The recipe's phases: one if no op needs the whole dataset."""
    steps, found, start = recipe.steps, list[Phase](), 0
    while not found or start < len(steps):
        barrier = start
        while barrier < len(steps) and not stands_alone(steps[barrier].op):
            barrier += 1
        end = barrier
        while end < len(steps) and (stands_alone(steps[end].op) or not steps[end].op.asks()):
            end += 1
        found.append(Phase(len(found) + 1, start, barrier, end))
        start = end
    return found


def signing(recipe: Recipe, phase: Phase) -> tuple[Step, Deduplicator] | None:
    """The step behind the phase and its op, if that decides by signatures alone, which the shards take."""
    step = recipe.steps[phase.barrier] if phase.barrier < phase.end else None
    if step and isinstance(step.op, Deduplicator) and type(step.op).select is Deduplicator.select:
        return step, step.op
    return None


def division(recipe: Recipe, count: int) -> list[str]:
    """What is done where, a line for each phase's shards and merge."""
    lines, all_phases = list[str](), phases(recipe)
    for phase in all_phases:
        again = " again" if phase.number > 1 else ""
        signer = signing(recipe, phase)
        works = [_named(recipe, phase.start, phase.barrier), f"signatures for [{signer[0].index + 1}]" if signer else ""]
        lines.append(f"{count} shards{again}: {', '.join(filter(None, works)) or 'no op'}")
        last = phase.number == len(all_phases)
        done = "the output" if last else "what was kept is split again"
        ops = f"{named}; " if (named := _named(recipe, phase.barrier, phase.end)) else ""
        lines.append(f"merge: {ops}{done}")
    return lines


def _named(recipe: Recipe, start: int, end: int) -> str:
    return ", ".join(f"[{step.index + 1}] {step.name}" for step in recipe.steps[start:end])
