"""What is known of an op's requests before they are asked: whether its engines can answer, and how many answers a journal has."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from juicecap.errors import SampleError
from juicecap.sample import Sample
from juicecap.vlm.base import Limits, ModelSettings, Request, digest_of
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.seen import SeenAnswers
from juicecap.vlm.pipeline import core

RequestPlanner = Callable[[Sample], Sequence[Request] | SampleError]
"""The requests of a sample's first round, or the error that prevents them."""

_COUNTED_AT_ONCE = 64
"""Samples."""


@dataclass(frozen=True)
class Forecast:
    """Where the answers to an op's requests will come from. `whole`: all samples were counted."""

    replayed: int
    """Answers that a journal has."""
    asked: int
    """Answers that an engine will be asked for."""
    shared: int
    """Answers to requests that are equal to others, which are asked or replayed once."""
    whole: bool


def forecast(samples: Iterable[Sample], plan: RequestPlanner, limits: Limits, journal: Journal, seconds: float) -> Forecast:
    """Count the answers that the journal has for these samples, for at most `seconds`.

    Requests are equal if they ask the same about media with the same paths. So the count is exact but for equal clips under
    several names, of which fewer are asked about. Requests that failed for good in an earlier run are not counted.
    """
    replayed = asked = shared = 0
    seen = SeenAnswers()
    source, deadline = iter(samples), time.monotonic() + seconds
    while some := list(itertools.islice(source, _COUNTED_AT_ONCE)):
        plans = [plan(sample) for sample in some]
        requests = [request for planned in plans if not isinstance(planned, SampleError) for request in planned]
        for request, known in zip(requests, core.known_outcomes(requests, journal, limits), strict=True):
            if known.failure:
                continue
            key = question_key(request)
            fresh = [seen.add(key, number) for number in range(request.candidates)]
            replayed += sum(fresh[: len(known.answers)])
            asked += sum(fresh[len(known.answers) :])
            shared += fresh.count(False)
        if time.monotonic() > deadline:
            return Forecast(replayed, asked, shared, whole=next(source, None) is None)
    return Forecast(replayed, asked, shared, whole=True)


def question_key(request: Request) -> str:
    """What equal questions about media with the same paths have in common, whatever their number of candidates."""
    return digest_of([repr(replace(request, candidates=1, named=()))])


def describe(
    models: Sequence[ModelSettings], max_tokens: int, journal: Journal | None = None, first: Request | None = None
) -> None:
    """Describe these engines before any work is done for them. None is opened.

    `first` is like what one of them is going to be asked.

    Raises:
        ModelError: one can never answer, or holds no prompt beside `max_tokens`.
        EnvironmentFailure: one is not there.
    """
    for capabilities in core.describe(models, journal, first):
        if capabilities.context:
            capabilities.context.check_answer(max_tokens)
