"""Where the answers to requests came from, and the tokens that they cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from juicecap.vlm.base import Outcome
from juicecap.vlm.journal.seen import SeenAnswers


@dataclass(frozen=True, kw_only=True)
class AnswerCounts:
    """Answers by where they came from. What an op was told of its requests is the sum of the first four."""

    asked: int = 0
    """Answers that engines gave in this run."""
    shared: int = 0
    """Answers that an equal request of this run has got as well."""
    replayed: int = 0
    """Answers of earlier runs, from the journal; one that several requests share counts once."""
    failed: int = 0
    """Answers that did not come, whether or not an engine was asked."""
    prompt_tokens: int = 0
    """Tokens that engines read in this run, also for answers that failed, as far as engines report them."""
    completion_tokens: int = 0
    """Tokens that engines wrote in this run."""
    replayed_prompt_tokens: int = 0
    """Tokens that engines read for the replayed answers, in earlier runs."""
    replayed_completion_tokens: int = 0
    """Tokens that engines wrote for them."""

    @property
    def received(self) -> int:
        """The answers that came."""
        return self.asked + self.shared + self.replayed

    def plus(self, other: AnswerCounts) -> AnswerCounts:
        """Both together."""
        return AnswerCounts(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})


def summed(counts: Iterable[AnswerCounts]) -> AnswerCounts:
    """All of them together."""
    total = AnswerCounts()
    for each in counts:
        total = total.plus(each)
    return total


def given(outcomes: Iterable[Outcome]) -> AnswerCounts:
    """The tokens of what engines gave."""
    outcomes = list(outcomes)
    return AnswerCounts(
        prompt_tokens=sum(outcome.prompt_tokens for outcome in outcomes),
        completion_tokens=sum(answer.tokens for outcome in outcomes for answer in outcome.answers),
    )


def joined(outcome: Outcome, candidates: int) -> AnswerCounts:
    """A request for so many candidates that got the outcome of an equal one."""
    return failed(candidates) if outcome.failure else AnswerCounts(shared=len(outcome.answers))


def failed(candidates: int) -> AnswerCounts:
    """A request for so many candidates that got none."""
    return AnswerCounts(failed=candidates)


def known(seen: SeenAnswers | None, key: str, outcome: Outcome) -> AnswerCounts:
    """Answers from a journal: those that the run meets for the first time are replayed, the others shared."""
    fresh = [seen is None or seen.add(key, number) for number in range(len(outcome.answers))]
    replayed = [answer for answer, is_fresh in zip(outcome.answers, fresh, strict=True) if is_fresh]
    return AnswerCounts(
        shared=len(fresh) - len(replayed),
        replayed=len(replayed),
        replayed_prompt_tokens=outcome.prompt_tokens if fresh[:1] == [True] else 0,
        replayed_completion_tokens=sum(answer.tokens for answer in replayed),
    )


def asked(seen: SeenAnswers | None, key: str, numbers: range) -> AnswerCounts:
    """Candidates with these numbers that an engine gave; later they are shared."""
    if seen is not None:
        for number in numbers:
            seen.add(key, number)
    return AnswerCounts(asked=len(numbers))
