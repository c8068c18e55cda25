"""Sending the requests of a stream of samples to a model, far enough ahead that the engine never waits; and counting them."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from juicecap.errors import SampleError
from juicecap.sample import Sample
from juicecap.vlm.base import Limits, ModelSettings, Outcome, Request
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline import core
from juicecap.vlm.pipeline.window import PendingSample

RequestPlanner = Callable[[Sample], Sequence[Request] | SampleError]
"""The requests for a sample, or the error that prevents them."""

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


def stream_outcomes(
    samples: Iterable[Sample], plan: RequestPlanner, limits: Limits, journal: Journal | None = None
) -> Iterator[tuple[Sample, list[Outcome] | SampleError]]:
    """Each sample with the outcomes of its requests, or with the error of its plan; in order. Answers in `journal` are reused.

    Each outcome carries its request.

    All code of ops runs in the thread that iterates: it plans samples while it waits for the first one.

    Raises:
        JuicecapError: an engine cannot be opened, or died.
    """
    source = iter(samples)
    with core.window(limits, journal) as window:
        under_way: deque[tuple[Sample, Sequence[Request], PendingSample | SampleError]] = deque()
        more = True
        while more or under_way:
            while more and window.has_room(len(under_way)):
                sample = next(source, None)
                if sample is None:
                    more = False
                    window.flush()
                else:
                    planned = plan(sample)
                    requests = () if isinstance(planned, SampleError) else planned
                    under_way.append((sample, requests, planned if isinstance(planned, SampleError) else window.submit(planned)))
            if not under_way:
                return
            sample, requests, sent = under_way[0]
            if isinstance(sent, SampleError):
                under_way.popleft()
                yield sample, sent
            elif window.wait(sent, or_room_for=len(under_way) if more else None):
                under_way.popleft()
                yield sample, [replace(each, request=asked) for asked, each in zip(requests, sent.outcomes(), strict=True)]
