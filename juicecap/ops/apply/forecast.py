"""What is known of an op's requests before they are asked: whether its engines can answer, and how many answers a journal has."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from juicecap.errors import SampleError
from juicecap.sample import Sample
from juicecap.vlm.base import Limits, ModelSettings, Request
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline import core

RequestPlanner = Callable[[Sample], Sequence[Request] | SampleError]
"""The requests of a sample's first round, or the error that prevents them."""

_COUNTED_AT_ONCE = 64
"""Samples."""


@dataclass(frozen=True)
class Forecast:
    """How many answers a journal has, and how many an engine will be asked for. `whole`: all samples were counted."""

    replayed: int
    asked: int
    whole: bool


def forecast(samples: Iterable[Sample], plan: RequestPlanner, limits: Limits, journal: Journal, seconds: float) -> Forecast:
    """Count the answers that the journal has for these samples, for at most `seconds`.

    The count is exact except for two things, which lower the number of requests: clips that the journal knows under other names,
    and requests that several samples have in common.
    """
    replayed = asked = 0
    source, deadline = iter(samples), time.monotonic() + seconds
    while some := list(itertools.islice(source, _COUNTED_AT_ONCE)):
        plans = [plan(sample) for sample in some]
        requests = [request for planned in plans if not isinstance(planned, SampleError) for request in planned]
        known = sum(core.known_answers(requests, journal, limits))
        replayed += known
        asked += sum(request.candidates for request in requests) - known
        if time.monotonic() > deadline:
            return Forecast(replayed, asked, whole=next(source, None) is None)
    return Forecast(replayed, asked, whole=True)


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
