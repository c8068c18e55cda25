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
from juicecap.vlm.pipeline.resources.answer_counts import AnswerCounts

_TABLE = re.compile(r"\d\d+-\w+-[0-9a-f]{16}\.arrow")

_SIGNATURES = re.compile(r"(\d\d+-\w+\.signatures-[0-9a-f]{16}\.arrow)?")

_WORK = ("seconds", "tried_again", "measured", "measured_before")
_ANSWERS = tuple(each.name for each in fields(AnswerCounts))
"""Figures of a `StepResult`, and of its answers, that its table does not tell."""


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
        table = f"{done.step.number:02d}-{done.step.name}-{fingerprint[:16]}.arrow"
        work = {name: getattr(done.result, name) for name in _WORK} | asdict(done.result.answers)
        return cls(done.step.name, table, fingerprint, done.stage.fingerprint, done.result.counts.taken, work)


@dataclass(frozen=True)
class Record:
    """A finished phase. `rows` are the first row of its input, and the one behind the last."""

    rows: tuple[int, int]
    conditions: dict[str, Any]
    steps: tuple[StepRecord, ...]
    signatures: str = ""
    """The name of the file in `steps/` with the signatures that the op behind the phase needs; empty if it needs none."""

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
        steps, signatures = tuple(_step(each) for each in content["steps"]), content.get("signatures", "")
        sound = _is_count(first) and _is_count(end) and isinstance(content["conditions"], dict)
        sound &= bool(_SIGNATURES.fullmatch(signatures))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Record((first, end), content["conditions"], steps, signatures) if sound else None


def summed(works: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of several shards together."""
    return {name: sum(work[name] for work in works) for name in (*_WORK, *_ANSWERS)}


def worked(result: StepResult, work: Mapping[str, Any]) -> StepResult:
    """A step's result with these figures."""
    answers = AnswerCounts(**{name: work[name] for name in _ANSWERS})
    return replace(result, finished_before=False, answers=answers, **{name: work[name] for name in _WORK})


def _step(content: Any) -> StepRecord:
    step = StepRecord(**{field.name: content[field.name] for field in fields(StepRecord)})
    texts = (step.op, step.table, step.fingerprint, step.output)
    numbers = isinstance(step.work, dict) and all(_is_number(step.work[name]) for name in (*_WORK, *_ANSWERS))
    if not (all(isinstance(text, str) for text in texts) and _is_count(step.taken) and numbers and _TABLE.fullmatch(step.table)):
        raise ValueError("not a step")
    return step


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
