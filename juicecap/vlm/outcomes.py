"""Outcomes that all backends build alike: of a request that was answered, and of one that failed."""

from __future__ import annotations

from collections.abc import Iterable

from juicecap.errors import SampleError
from juicecap.vlm.base import Answer, Failure, Outcome, Prepared


def answered(prepared: Prepared, answers: Iterable[Answer], *, prompt_tokens: int, revision: str) -> Outcome:
    """The outcome of a request with its answers, in order."""
    return Outcome(
        answers=tuple(answers),
        seed=prepared.seed,
        prompt_tokens=prompt_tokens,
        revision=revision,
        frame_times=tuple(picture.times for picture in prepared.pictures if picture.times),
        unreadable=sum(picture.unreadable for picture in prepared.pictures),
        damage="; ".join(picture.damage for picture in prepared.pictures if picture.damage),
        tone_mapped=any(picture.tone_mapped for picture in prepared.pictures),
    )


def failed(prepared: Prepared, error: SampleError) -> Outcome:
    """The outcome of a request without answers."""
    return Outcome(failure=failure_of(error), seed=prepared.seed)


def failure_of(error: SampleError) -> Failure:
    """The error as a failure."""
    return Failure(code=error.code, message=error.message, retryable=error.retryable, attempts=error.attempts)
