"""What backends say alike: the outcome of a request that was answered, and the words for one that does not fit."""

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
    )


def failed(prepared: Prepared, error: SampleError) -> Outcome:
    """The outcome of a request without answers."""
    return Outcome(failure=failure_of(error), seed=prepared.seed)


def failure_of(error: SampleError) -> Failure:
    """The error as a failure."""
    return Failure(code=error.code, message=error.message, retryable=error.retryable, attempts=error.attempts)


def check_length(prompt_tokens: int, max_tokens: int, limit: int | None) -> None:
    """Do nothing if prompt and answer fit into the `limit` tokens that a model takes.

    Raises:
        SampleError: `TOO_LONG`.
    """
    if limit and prompt_tokens + max_tokens > limit:
        raise SampleError(
            "TOO_LONG",
            f"the prompt has {prompt_tokens} tokens; with max_tokens {max_tokens} that exceeds the model's {limit}: "
            "take fewer frames (fps, max_frames) or fewer pixels (max_pixels)",
        )
