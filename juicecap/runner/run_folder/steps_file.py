"""The steps that a run has finished, with their tables and counts: `steps.json` in its folder.

It begins empty with each run, and has a step as soon as its table is sealed. So it tells of the last run alone, however that
ended. It comes perhaps from another machine, so it is read with care.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from juicecap.data.writing.atomic import replacing
from juicecap.errors import UsageError
from juicecap.plain import read_plain
from juicecap.recipe.work_dir import LARGEST, STEPS_FILE
from juicecap.text import numbered

_TABLE = re.compile(r"\d\d+-\w+-[0-9a-f]{16}\.arrow")


@dataclass(frozen=True, kw_only=True)
class NotedStep:
    """A finished step: its number from 1, the name of its table in `steps/`, its limits, `Counts` and failures by code."""

    number: int
    op: str
    table: str
    wanted: Mapping[str, Any]
    counts: Mapping[str, int]
    reasons: Mapping[str, int]

    @property
    def label(self) -> str:
        """The op with its number."""
        return numbered(self.op, self.number)


def forget_steps(folder: Path) -> None:
    """A run begins: what is noted of an earlier one does not count.

    Raises:
        DataError, EnvironmentFailure: the file cannot be written.
    """
    _write(folder, [])


def note_step(folder: Path, step: NotedStep) -> None:
    """Note a finished step behind those with lower numbers.

    Raises:
        DataError, EnvironmentFailure: the file cannot be written.
    """
    _write(folder, [*(each for each in read_steps(folder) if each.number < step.number), step])


def read_steps(folder: Path) -> list[NotedStep]:
    """The steps that are noted, in order; none without the file.

    Raises:
        UsageError: the file is not what a run writes.
    """
    file = folder / STEPS_FILE
    try:
        return [_step(each) for each in json.loads(read_plain(file, LARGEST))]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"{file} is not what a run writes; run the recipe again, which asks nothing twice") from None


def _write(folder: Path, steps: Sequence[NotedStep]) -> None:
    text = json.dumps([asdict(each) for each in steps], indent=1, default=repr)
    with replacing(folder / STEPS_FILE, through_links=False) as stream:
        stream.write(text.encode() + b"\n")


def _step(content: Any) -> NotedStep:
    step = NotedStep(**{name: content[name] for name in NotedStep.__dataclass_fields__})
    numbers = [step.number, *step.counts.values(), *step.reasons.values()]
    texts = [step.op, step.table, *step.wanted, *step.counts, *step.reasons]
    if not (all(map(_is_count, numbers)) and all(isinstance(each, str) for each in texts) and _TABLE.fullmatch(step.table)):
        raise ValueError("not a step")
    return step


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
