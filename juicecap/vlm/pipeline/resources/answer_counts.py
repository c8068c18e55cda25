"""Where the answers to requests came from, and the tokens that they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from operator import mul

from juicecap.vlm.base import Outcome
from juicecap.vlm.journal.seen import SeenAnswers

Amounts = Mapping[str, int]
"""Fields of `AnswerCounts` by which they grow."""


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


def given(outcomes: Iterable[Outcome]) -> Amounts:
    """The tokens of what engines gave."""
    prompt = completion = 0
    for outcome in outcomes:
        prompt += outcome.prompt_tokens
        completion += sum(answer.tokens for answer in outcome.answers)
    return {"prompt_tokens": prompt, "completion_tokens": completion}


def joined(outcome: Outcome, candidates: int) -> Amounts:
    """A request for so many candidates that got the outcome of an equal one."""
    return failed(candidates) if outcome.failure else {"shared": len(outcome.answers)}


def failed(candidates: int) -> Amounts:
    """A request for so many candidates that got none."""
    return {"failed": candidates}


def known(seen: SeenAnswers | None, key: str, outcome: Outcome) -> Amounts:
    """Answers from a journal: those that the run meets for the first time are replayed, the others shared."""
    fresh = [seen is None or seen.add(key, number) for number in range(len(outcome.answers))]
    replayed = sum(fresh)
    return {
        "shared": len(fresh) - replayed,
        "replayed": replayed,
        "replayed_prompt_tokens": outcome.prompt_tokens if fresh[:1] == [True] else 0,
        "replayed_completion_tokens": sum(map(mul, fresh, (answer.tokens for answer in outcome.answers))),
    }


def asked(seen: SeenAnswers | None, key: str, numbers: range) -> Amounts:
    """Candidates with these numbers that an engine gave; later they are shared."""
    if seen is not None:
        for number in numbers:
            seen.add(key, number)
    return {"asked": len(numbers)}
