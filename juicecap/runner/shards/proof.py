"""The proof before a merge: that all shards are there and have finished the same phase of the same run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from juicecap.errors import DataError
from juicecap.recipe.shards import Phase, Shard, all_shards, shard_in
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.runner.run_folder.lock import is_locked
from juicecap.runner.shards.conditions import MADE_BY, differences
from juicecap.runner.shards.dataset import read_facts
from juicecap.runner.shards.record import Record, read_record

if TYPE_CHECKING:
    from juicecap.recipe import Recipe

MOST_NAMED = 20
"""Shards with which something is wrong that are named one by one."""


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
    records = (read_record(whole.shard(shard).root, 1) for shard in all_shards(count))
    noted = read_facts(whole.shards) or next((record.conditions.get("dataset") for record in records if record), None)
    limit = noted.get("limit") if isinstance(noted, dict) else None
    return limit if isinstance(limit, int) and limit > 0 else None


def has_begun(whole: RunFolder, count: int, phase: Phase, wanted: Mapping[str, Any]) -> bool:
    """Whether a shard has finished this phase of this run."""
    records = (read_record(whole.shard(shard).root, phase.number) for shard in all_shards(count))
    return any(record and not differences(wanted, record.conditions) for record in records)


def proven(recipe: Recipe, whole: RunFolder, count: int, phase: Phase, wanted: Mapping[str, Any], rows: int) -> list[Record]:
    """The records of all shards for a phase that began with so many rows.

    Raises:
        DataError: shards are missing, not finished, or of another run; each is named, with what to do.
    """
    records, wrong = list[Record](), dict[Shard, _Fault]()
    for shard in all_shards(count):
        record = read_record(whole.shard(shard).root, phase.number)
        fault = _fault(whole, shard, record, wanted, rows, records[:1])
        if record and not fault:
            records.append(record)
        elif fault:
            wrong[shard] = fault
    if wrong:
        raise DataError("\n".join(_told(recipe, whole, count, wrong)))
    return records


class _Fault(NamedTuple):
    """Why a shard cannot be merged, and with which options it is to be run again; None: it is not."""

    why: str
    options: str | None = ""


AT_WORK = _Fault("is at work", None)


def _fault(
    whole: RunFolder, shard: Shard, record: Record | None, wanted: Mapping[str, Any], rows: int, first: Sequence[Record]
) -> _Fault | None:
    folder = whole.shard(shard).root
    if is_locked(folder):
        return AT_WORK
    if record is None:
        return _Fault("is not finished" if folder.is_dir() else "is missing")
    made = {name: value for each in first for name, value in each.conditions.items() if name in MADE_BY} | dict(wanted)
    told, rest = differences(made, record.conditions), {name: made[name] for name in made if name not in MADE_BY}
    if not told and record.rows != shard.bounds(rows):
        told = ["it has other rows"]
    if not told and [step.op for step in record.steps] != [op["name"] for op in wanted["ops"]]:
        told = ["its record is not whole"]
    if not told:
        return None
    return _Fault(f"is of another run: {'; '.join(told)}", "" if differences(rest, record.conditions) else " --fresh")


def _told(recipe: Recipe, whole: RunFolder, count: int, wrong: Mapping[Shard, _Fault]) -> Iterator[str]:
    yield f"{len(wrong):,} of {count:,} shards in {whole.shards} cannot be merged:"
    for shard, fault in list(wrong.items())[:MOST_NAMED]:
        how = "wait for it" if fault.options is None else f"juicecap run {recipe.path} --shard {shard}{fault.options}"
        yield f"  shard {shard} {fault.why}; {how}"
    if len(wrong) > MOST_NAMED:
        yield f"  and {len(wrong) - MOST_NAMED:,} more: {', '.join(map(str, list(wrong)[MOST_NAMED:]))}"
    yield "Nothing was written. What is finished is kept; merge again when they are done."
