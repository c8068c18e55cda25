"""The story of one sample: what each op made of it, and where it is in the output."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from juicecap.data.fate_rows import first_of_each, named, places_of_kept, rows_where
from juicecap.runner.lineage.history import History
from juicecap.runner.lineage.records import records
from juicecap.runner.run_folder.steps_file import NotedStep
from juicecap.sample import sample_name, source_position
from juicecap.text import near

_FACTS = ("kind", "first", "code", "captions", "truncated", "dropped")

MOST_COMPARED = 20_000
"""Ids that an unknown one is compared with."""


@dataclass
class SampleFate:
    """What an op made of a sample; `samples` are those that it gave."""

    kind: str
    code: str | None = None
    message: str = ""
    captions: int = 0
    cut: int = 0
    samples: int = 0
    dropped: dict[str, Any] = field(default_factory=dict)
    """Why it was filtered: `measured` or `duplicate_of`, and `wanted`."""


@dataclass
class StepStory:
    """A step, with the fate of each sample of this name that came to it: ops before it may have made several of one."""

    op: str
    fates: list[SampleFate] = field(default_factory=list)


@dataclass(frozen=True)
class Story:
    """`rows` are its rows in the output, from 1; None: the output is not written."""

    id: str
    source: str | None
    steps: tuple[StepStory, ...]
    rows: tuple[int, ...] | None


def story_of(history: History, name: str) -> Story | None:
    """The story of the sample with this id, as far as ops have finished; None: none of them has met it.

    Raises:
        UsageError, DataError: as `records`.
    """
    source: str | None = None
    steps: dict[str, StepStory] = {}
    places: list[int] = []
    for part, noted in history.steps():
        story, table, rows = steps.get(noted.label, StepStory(noted.label)), part.table(noted), list[int]()
        for row, sample, told in rows_where(table, named(name), _FACTS):
            source = source or source_position(sample)
            steps[noted.label] = story
            if told["first"]:
                story.fates.append(_fate(told, noted))
            if told["kind"] == "kept":
                story.fates[-1].samples += 1
                rows.append(row)
        if rows and history.is_complete and noted.number == history.step_count:
            places = places_of_kept(table, rows)
    for record in records(history, "rejected"):
        if record["id"] == name:
            source = source or record.get("source")
            _told(steps.setdefault(record["op"], StepStory(record["op"])), record)
    if not steps:
        return None
    return Story(name, source, tuple(steps.values()), tuple(places) if history.is_complete else None)


def near_names(history: History, name: str) -> str | None:
    """The id that was probably meant: one that the path given ends with, or that is spelt almost like it."""
    candidates: list[str] = []
    for part, noted in history.steps():
        if noted.number > 1:
            break
        for _, sample, _ in rows_where(part.table(noted), first_of_each):
            known = sample_name(sample)
            if name.endswith(f"/{known}"):
                return known
            if len(candidates) < MOST_COMPARED and abs(len(known) - len(name)) <= 2:  # noqa: PLR2004  (a letter or two)
                candidates.append(known)
    return near(name, dict.fromkeys(candidates))


def an_id(history: History) -> str:
    """The id of a sample; empty if no op has met one."""
    for part, noted in history.steps():
        for _, sample, _ in rows_where(part.table(noted), first_of_each):
            return sample_name(sample)
    return ""


def _fate(told: dict[str, Any], noted: NotedStep) -> SampleFate:
    fate = SampleFate(told["kind"], told["code"], captions=told["captions"], cut=told["truncated"])
    if fate.kind == "filtered":
        fate.dropped = {**json.loads(told["dropped"] or "{}"), **({"wanted": dict(noted.wanted)} if noted.wanted else {})}
    return fate


def _told(step: StepStory, record: dict[str, Any]) -> None:
    """Give a rejection its message, or take it from the record alone, if its op has not finished."""
    rejected = [each for each in step.fates if each.kind == "rejected" and not each.message]
    if not rejected:
        rejected = [SampleFate("rejected", record.get("code"))]
        step.fates.append(rejected[0])
    rejected[0].message = str(record.get("message") or "")
