"""The fate of a sample, and how it is stored in a column of the step's table.

Every input sample of an op has exactly one fate: it gave output (one or more samples), was dropped by a filter, or was
rejected for a reason. A step's table holds a row for each output sample, and one for each sample that gave none, so that a
finished step can neither lose nor repeat a rejection.

Under `on_error: keep` a sample that fails gives itself, with the reason in the column `FAILURES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal

from juicecap.errors import DataError, SampleError
from juicecap.ops.apply.dropped import Dropped
from juicecap.sample import FATE, HIDDEN, ORIGIN, Sample, sample_name, source_position, visible
from juicecap.text import valid
from juicecap.vlm.base import Outcome
from juicecap.vlm.oddities import loops, refuses
from juicecap.vlm.scripts import mixes_scripts

FATE_COLUMN = {
    "kind": "text",
    "first": "bool",
    "code": "text",
    "message": "text",
    "attempts": "int",
    "retryable": "bool",
    "when": "text",
    "captions": "int",
    "truncated": "int",
    "prompt_tokens": "int",
    "completion_tokens": "int",
    "empty": "int",
    "looping": "int",
    "refused": "int",
    "further": "int",
    "mixed": "int",
    "dropped": "text",
}
"""Type of the hidden column `FATE`. `first` marks the first row of each input sample; the numbers stand there alone.
`dropped` says as JSON why a filtered sample is (`apply/dropped.py`).
A kept sample with a code is one that failed and stayed; one without a code may have a message about damaged media."""

FAILURES = "juicecap_failures"
"""Column that lists under `on_error: keep` which ops failed on a sample, and why; null if none did."""

FAILURES_COLUMN = [{"op": "text", "code": "text", "message": "text"}]
"""Type of the column `FAILURES`."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the answers to one sample's requests cost, and what was wrong with its media."""

    captions: int = 0
    truncated: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    damage: str = ""
    empty: int = 0
    looping: int = 0
    """Answers that end in the same words over and over."""
    refused: int = 0
    """Answers that refuse, in prose or by a word of the service."""
    further: int = 0
    """Answers of rounds after the first, which are not counted as captions."""
    mixed: int = 0
    """Answers that mix scripts."""

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], *, further: bool = False) -> Usage:
        """What these answers cost together. `further`: they are those of a later round."""
        answers = [answer for outcome in outcomes for answer in outcome.answers]
        codes = [outcome.failure.code for outcome in outcomes if outcome.failure]
        return cls(
            captions=0 if further else len(answers),
            further=len(answers) if further else 0,
            truncated=sum(answer.finish_reason == "length" for answer in answers),
            prompt_tokens=sum(outcome.prompt_tokens for outcome in outcomes),
            completion_tokens=sum(answer.tokens for answer in answers),
            damage="; ".join(dict.fromkeys(outcome.damage for outcome in outcomes if outcome.damage)),
            empty=sum(not answer.text for answer in answers) + codes.count("EMPTY_ANSWER"),
            looping=sum(loops(answer.text) for answer in answers),
            refused=sum(refuses(answer.text) for answer in answers) + codes.count("REFUSED"),
            mixed=sum(mixes_scripts(answer.text) for answer in answers),
        )

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        if self == _NOTHING:
            return other
        sums = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self) if each.name != "damage"}
        damage = "; ".join(dict.fromkeys(filter(None, (self.damage, other.damage))))
        return Usage(damage=damage, **sums)


_NOTHING = Usage()


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of one sample."""

    kind: Literal["kept", "filtered", "rejected"]
    sample: Sample
    outputs: tuple[Sample, ...] = ()
    failure: SampleError | None = None
    dropped: Dropped | None = None
    """Why it was filtered, if the op says that."""
    usage: Usage = field(default_factory=Usage)

    def named_failure(self, media_keys: Sequence[str]) -> SampleError:
        """The failure with the sample's name in its message; only for a rejected sample."""
        if self.failure is None:
            raise ValueError("a sample that was not rejected has no failure")
        name = sample_name(self.sample, media_keys)
        failure = self.failure
        message = f"{name}: {failure.message}"
        return type(failure)(failure.code, message, retryable=failure.retryable, attempts=failure.attempts)

    def staying(self, op: str) -> Fate:
        """The fate under `on_error: keep`: a sample on which `op` failed stays, with the reason in a column."""
        if self.failure is None:
            return self
        reason = {"op": op, "code": self.failure.code, "message": valid(self.failure.message)}
        before = self.sample.get(FAILURES)
        reasons = [*before, reason] if isinstance(before, list) else [reason]
        return replace(self, kind="kept", outputs=({**self.sample, FAILURES: reasons},))

    def tried_before(self, attempts: int) -> Fate:
        """The fate of a sample with this many earlier attempts added."""
        if self.failure is None or not attempts:
            return self
        failure = self.failure
        counted = type(failure)(failure.code, failure.message, retryable=failure.retryable, attempts=failure.attempts + attempts)
        return replace(self, failure=counted)


def rows_of(fates: Iterable[Fate], columns: Sequence[str]) -> list[Sample]:
    """The rows of the step's table: each has all `columns`, and its fate.

    A column that a sample does not have is null and noted as missing in its origin, so that an export leaves it out.

    Raises:
        DataError: an output has a column besides these.
    """
    rows = []
    for fate in fates:
        for index, output in enumerate(fate.outputs or (fate.sample,)):
            if undeclared := output.keys() - set(columns) - set(HIDDEN):
                raise DataError(
                    f"an op gave the column {min(undeclared)!r}, which its columns_written() does not declare; it would be lost"
                )
            row = {name: output.get(name) for name in columns}
            origin, absent = output.get(ORIGIN), [name for name in columns if name not in output and name not in HIDDEN]
            if origin and absent:
                row[ORIGIN] = {**origin, "missing": [*origin["missing"], *absent]}
            row[FATE] = _entry(fate, first=index == 0)
            rows.append(row)
    return rows


def _entry(fate: Fate, *, first: bool) -> dict[str, Any]:
    usage = fate.usage if first else Usage()
    failure = fate.failure
    return {
        "kind": fate.kind,
        "first": first,
        "code": failure and failure.code,
        "message": valid(failure.message) if failure else usage.damage or None,
        "attempts": failure and failure.attempts,
        "retryable": failure and failure.retryable,
        "when": failure and datetime.now(UTC).isoformat(timespec="seconds"),
        "captions": usage.captions,
        "truncated": usage.truncated,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "empty": usage.empty,
        "looping": usage.looping,
        "refused": usage.refused,
        "further": usage.further,
        "mixed": usage.mixed,
        "dropped": fate.dropped and fate.dropped.to_text(),
    }


def rejection(row: Sample, op: str, media_keys: Sequence[str]) -> dict[str, Any]:
    """A line of `rejected.jsonl` for a rejected row of a step's table."""
    fate = row[FATE]
    return {
        "id": sample_name(row, media_keys),
        "source": source_position(row),
        "op": op,
        "code": fate["code"],
        "message": fate["message"],
        "attempts": fate["attempts"],
        "retryable": fate["retryable"],
        "when": fate["when"],
        "sample": visible(row),
    }
