"""Lists of samples: those that were filtered, those that were rejected, and those with captions that `max_tokens` cut."""

from __future__ import annotations

import itertools
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from juicecap.data.fate_rows import of_kind, rows_where, with_some
from juicecap.errors import UsageError
from juicecap.ops.apply.dropped import filtered_samples
from juicecap.plain import open_plain
from juicecap.recipe.work_dir import FILTERED, REJECTED
from juicecap.runner.lineage.history import History, Part
from juicecap.runner.run_folder.steps_file import NotedStep
from juicecap.sample import sample_name, source_position

Kind = Literal["filtered", "rejected", "cut"]

_NUMBER = re.compile(r"\[(\d{1,6})\]$")


def records(history: History, kind: Kind) -> Iterator[dict[str, Any]]:
    """The records of all such samples, by op and then in their order; those of shards that are not merged by shard.

    Of a run that was killed, or is at work, what its finished ops tell, without the messages of rejections.

    Raises:
        UsageError, DataError: a file is not what a run writes, or damaged.
    """
    for part in history.parts:
        name = {"filtered": FILTERED, "rejected": REJECTED}.get(kind)
        file = part.lost_samples(name) if name else None
        yield from _lines(file, part.behind) if file else itertools.chain(*(_OF_TABLES[kind](part, step) for step in part.steps))


def step_of(record: dict[str, Any]) -> int:
    """The number of the op that a record names; 0: the reading of the dataset."""
    number = _NUMBER.search(str(record["op"]))
    return int(number[1]) if number else 0


def name_of(record: dict[str, Any]) -> str:
    """The name of the op of a record, without its number."""
    return _NUMBER.sub("", str(record["op"]))


def of_table(kind: Kind, part: Part, step: NotedStep) -> Iterator[dict[str, Any]]:
    """The records of one step, from its table."""
    return _OF_TABLES[kind](part, step)


def _cut(part: Part, step: NotedStep) -> Iterator[dict[str, Any]]:
    """A record for each sample of a step with answers that `max_tokens` cut."""
    if step.counts["truncated"]:
        table = part.table(step)
        for _, sample, told in rows_where(table, with_some("truncated"), ["captions", "truncated"]):
            yield {**_facts(sample, step), "captions": told["captions"], "cut": told["truncated"]}


def _filtered(part: Part, step: NotedStep) -> Iterator[dict[str, Any]]:
    if step.counts["filtered"]:
        yield from filtered_samples(part.table(step), step.label, step.wanted)


def _rejected(part: Part, step: NotedStep) -> Iterator[dict[str, Any]]:
    if step.counts["rejected"]:
        table = part.table(step)
        for _, sample, told in rows_where(table, of_kind("rejected"), ["code"]):
            yield {**_facts(sample, step), "code": told["code"]}


_OF_TABLES: dict[Kind, Callable[[Part, NotedStep], Iterator[dict[str, Any]]]] = {
    "filtered": _filtered,
    "rejected": _rejected,
    "cut": _cut,
}


def _facts(sample: dict[str, Any], step: NotedStep) -> dict[str, Any]:
    return {"id": sample_name(sample), "source": source_position(sample), "op": step.label}


def _lines(file: Path, behind: int) -> Iterator[dict[str, Any]]:
    """The lines of a file of lost samples; those of steps up to number `behind` are left out."""
    try:
        with os.fdopen(open_plain(file), "r", encoding="utf-8", errors="replace") as stream:
            for line in stream:
                record = _record(file, line)
                if not behind or step_of(record) > behind:
                    yield record
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None


def _record(file: Path, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("id"), str) or not isinstance(record.get("op"), str):
        raise UsageError(f"{file} is not what a run writes; run the recipe again, which asks nothing twice")
    return record
