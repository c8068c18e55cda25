"""What a shard, or a merge, notes when it has finished a phase: `phase-1.json` in its folder.

A record is written last, so what it names is there. It comes perhaps from another machine, so it is read with care.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from juicecap.data.writing.atomic import replacing
from juicecap.plain import read_plain
from juicecap.recipe.work_dir import LARGEST
from juicecap.runner.result import StepResult
from juicecap.runner.steps import StepOutput

_TABLE = re.compile(r"\d\d+-\w+-[0-9a-f]{16}\.arrow")

_WORK = ("seconds", "tried_again", "replayed", "asked", "measured", "measured_before")
"""Figures of a `StepResult` that its table does not tell."""


@dataclass(frozen=True)
class StepRecord:
    """A step that was finished."""

    op: str
    table: str
    """The name of its file in `steps/`."""
    fingerprint: str
    output: str
    """The fingerprint of what it passed on, in which its failures are counted."""
    taken: int
    work: dict[str, Any]

    @classmethod
    def of(cls, done: StepOutput, fingerprint: str) -> StepRecord:
        """The record of a step with this fingerprint."""
        table = f"{done.step.index + 1:02d}-{done.step.name}-{fingerprint[:16]}.arrow"
        work = {name: getattr(done.result, name) for name in _WORK}
        return cls(done.step.name, table, fingerprint, done.stage.fingerprint, done.result.counts.taken, work)


@dataclass(frozen=True)
class Record:
    """A finished phase. `rows` are the first row of its input, and the one behind the last."""

    rows: tuple[int, int]
    conditions: dict[str, Any]
    steps: tuple[StepRecord, ...]

    @property
    def output(self) -> str:
        """The fingerprint of what the phase passed on; empty if it has no ops."""
        return self.steps[-1].output if self.steps else ""


def record_file(folder: Path, phase: int) -> Path:
    """Where the record of a phase lies."""
    return folder / f"phase-{phase}.json"


def write_record(folder: Path, phase: int, record: Record) -> None:
    """Write the record, in place of an earlier one.

    Raises:
        DataError, EnvironmentFailure: it cannot be written.
    """
    with replacing(record_file(folder, phase), through_links=False) as stream:
        stream.write(json.dumps(asdict(record), indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")


def read_record(folder: Path, phase: int) -> Record | None:
    """The record of a phase; None if there is none that can be read."""
    try:
        content = json.loads(read_plain(record_file(folder, phase), LARGEST))
        first, end = content["rows"]
        steps = tuple(_step(each) for each in content["steps"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    sound = _is_count(first) and _is_count(end) and isinstance(content["conditions"], dict)
    return Record((first, end), content["conditions"], steps) if sound else None


def summed(works: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of several shards together."""
    return {name: sum(work[name] for work in works) for name in _WORK}


def worked(result: StepResult, work: Mapping[str, Any]) -> StepResult:
    """A step's result with these figures."""
    return replace(result, finished_before=False, **work)


def _step(content: Any) -> StepRecord:
    step = StepRecord(**{field.name: content[field.name] for field in fields(StepRecord)})
    texts = (step.op, step.table, step.fingerprint, step.output)
    numbers = isinstance(step.work, dict) and all(_is_number(step.work[name]) for name in _WORK)
    if not (all(isinstance(text, str) for text in texts) and _is_count(step.taken) and numbers and _TABLE.fullmatch(step.table)):
        raise ValueError("not a step")
    return step


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
