"""What all backends build alike: the outcome of a request that was answered, or of one that failed; and what an answer means.

Engines and journals have answers as they came. Ops get them as they are meant (`heard`), so that better rules of what is cut off
need no engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from juicecap.errors import SampleError
from juicecap.vlm.base import Answer, Failure, Outcome, Prepared
from juicecap.vlm.reasoning import Spoken, is_marked, spoken

CUT = "length"
"""The finish reason of an answer that `max_tokens` cut."""

THINK_LESS = "or have it think less (model_params: {chat_template_kwargs: {enable_thinking: false}}, if its template knows that)"


def answered(
    prepared: Prepared, answers: Iterable[Answer], *, prompt_tokens: int, revision: str, opened: bool | None = None
) -> Outcome:
    """The outcome of a request with its answers, in order; `opened` as in `Outcome`."""
    return Outcome(
        answers=tuple(answers),
        seed=prepared.seed,
        prompt_tokens=prompt_tokens,
        revision=revision,
        frame_times=tuple(picture.times for picture in prepared.pictures if picture.times),
        unreadable=sum(picture.unreadable for picture in prepared.pictures),
        damage="; ".join(picture.damage for picture in prepared.pictures if picture.damage),
        tone_mapped=any(picture.tone_mapped for picture in prepared.pictures),
        frame_sizes=tuple(picture.shown_size for picture in prepared.pictures if picture.pixels.size),
        opened=opened,
    )


def signed(outcome: Outcome, engine: str) -> Outcome:
    """The outcome with its answers as those of this engine (`Answer.engine`)."""
    return replace(outcome, answers=tuple(replace(answer, engine=engine) for answer in outcome.answers))


def heard(outcome: Outcome, *, thinks: bool = False) -> Outcome:
    """An outcome as it came, with its answers as they are meant; if they were nothing but thoughts, `EMPTY_ANSWER`.

    `thinks`: where prompts do not tell, an answer without any mark that was cut was cut in the middle of a thought.
    """
    answers = tuple(_meant(answer, split(answer, opened=outcome.opened, thinks=thinks)) for answer in outcome.answers)
    if answers and not any(answer.text for answer in answers) and any(answer.reasoning for answer in answers):
        return Outcome(failure=_nothing_but_thoughts(answers), seed=outcome.seed)
    return replace(outcome, answers=answers)


def split(answer: Answer, *, opened: bool | None = None, thinks: bool = False) -> Spoken:
    """What an answer says, and what it thinks."""
    if opened is None:
        opened = thinks and answer.finish_reason == CUT and not answer.reasoning and not is_marked(answer.text)
    return spoken(answer.text, opened=opened)


def _meant(answer: Answer, said: Spoken) -> Answer:
    return replace(answer, text=said.text, reasoning="\n".join(filter(None, (answer.reasoning, said.reasoning))))


def _nothing_but_thoughts(answers: Iterable[Answer]) -> Failure:
    if all(answer.finish_reason == CUT for answer in answers if answer.reasoning):
        why = f"max_tokens was reached while it was thinking; raise it, {THINK_LESS}"
    else:
        why = "it thought, and said nothing"
    return Failure(code="EMPTY_ANSWER", message=f"the model's answer is empty: {why}")


def failed(prepared: Prepared, error: SampleError) -> Outcome:
    """The outcome of a request without answers."""
    return Outcome(failure=failure_of(error), seed=prepared.seed)


def failure_of(error: SampleError) -> Failure:
    """The error as a failure."""
    return Failure(code=error.code, message=error.message, retryable=error.retryable, attempts=error.attempts)
