"""The proof before a merge: that all shards are there and have finished the same phase of the same run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from juicecap.errors import DataError
from juicecap.recipe.shards import Phase, Shard, all_shards, shard_in
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.runner.run_folder.lock import is_locked
from juicecap.runner.shards.conditions import differences
from juicecap.runner.shards.record import Record, read_record

if TYPE_CHECKING:
    from juicecap.recipe import Recipe

MOST_NAMED = 20
"""Shards with which something is wrong that are named one by one."""


AT_WORK = "is at work"


def counts_there(whole: RunFolder) -> list[int]:
    """The numbers of shards of which there are folders."""
    names = [each.name for each in whole.shards.iterdir()] if whole.shards.is_dir() else []
    return sorted({shard.count for name in names if (shard := shard_in(name))})


def count_of(recipe: Recipe, whole: RunFolder, wanted: int | None) -> int:
    """How many shards are to be merged.

    Raises:
        DataError: there are none, or runs of several numbers of shards, and none is `wanted`.
    """
    there = counts_there(whole)
    if wanted or len(there) == 1:
        return wanted or there[0]
    if not there:
        raise DataError(
            f"there are no shards in {whole.shards}; make the first of, say, 8: juicecap run {recipe.path} --shard 1/8"
        )
    named = " and of ".join(map(str, there))
    raise DataError(f"{whole.shards} has shards of {named}; say which: juicecap merge {recipe.path} --shards {there[-1]}")


def check_at_rest(recipe: Recipe, whole: RunFolder, count: int) -> None:
    """Make sure that no shard is at work.

    Raises:
        DataError: some are.
    """
    busy = {shard: AT_WORK for shard in all_shards(count) if is_locked(whole.shard(shard).root)}
    if busy:
        raise DataError("\n".join(_told(recipe, whole, count, busy)))


def noted_limit(whole: RunFolder, count: int) -> int | None:
    """The `--limit` with which the shards were run."""
    for shard in all_shards(count):
        if record := read_record(whole.shard(shard).root, 1):
            limit = (record.conditions.get("dataset") or {}).get("limit")
            return limit if isinstance(limit, int) and limit > 0 else None
    return None


def has_begun(whole: RunFolder, count: int, phase: Phase, wanted: Mapping[str, Any]) -> bool:
    """Whether a shard has finished this phase of this run."""
    records = (read_record(whole.shard(shard).root, phase.number) for shard in all_shards(count))
    return any(record and not differences(wanted, record.conditions) for record in records)


def proven(recipe: Recipe, whole: RunFolder, count: int, phase: Phase, wanted: Mapping[str, Any], rows: int) -> list[Record]:
    """The records of all shards for a phase that began with so many rows.

    Raises:
        DataError: shards are missing, not finished, or of another run; each is named, with what to do.
    """
    records, wrong = list[Record](), dict[Shard, str]()
    for shard in all_shards(count):
        record = read_record(whole.shard(shard).root, phase.number)
        why = _why_not(whole, shard, record, wanted, rows, records[:1])
        if record and not why:
            records.append(record)
        else:
            wrong[shard] = why
    if wrong:
        raise DataError("\n".join(_told(recipe, whole, count, wrong)))
    return records


def _why_not(
    whole: RunFolder, shard: Shard, record: Record | None, wanted: Mapping[str, Any], rows: int, first: Sequence[Record]
) -> str:
    folder = whole.shard(shard).root
    if is_locked(folder):
        return AT_WORK
    if record is None:
        return "is not finished" if folder.is_dir() else "is missing"
    told = differences(wanted, record.conditions)
    if not told and first:
        told = differences(first[0].conditions, record.conditions)
    if not told and record.rows != shard.bounds(rows):
        told = ["it has other rows"]
    if not told and [step.op for step in record.steps] != [op["name"] for op in wanted["ops"]]:
        told = ["its record is not whole"]
    return f"is of another run: {'; '.join(told)}" if told else ""


def _told(recipe: Recipe, whole: RunFolder, count: int, wrong: Mapping[Shard, str]) -> Iterator[str]:
    yield f"{len(wrong):,} of {count:,} shards in {whole.shards} cannot be merged:"
    for shard, why in list(wrong.items())[:MOST_NAMED]:
        hint = "wait for it" if why == AT_WORK else f"juicecap run {recipe.path} --shard {shard}"
        yield f"  shard {shard} {why}; {hint}"
    if len(wrong) > MOST_NAMED:
        yield f"  and {len(wrong) - MOST_NAMED:,} more: {', '.join(map(str, list(wrong)[MOST_NAMED:]))}"
    yield "Nothing was written. What is finished is kept; merge again when they are done."
