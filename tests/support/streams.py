"""Requests of samples through a stream, as an op would send them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from juicecap.errors import SampleError
from juicecap.ops.apply.rounds import Conversation
from juicecap.ops.apply.stream import Stage, Stream
from juicecap.ops.base import Op
from juicecap.sample import Sample
from juicecap.vlm.base import Failure, Limits, Outcome, Request
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline.resources.engine_stats import EngineStats


def stream_outcomes(
    samples: Iterable[Sample],
    plan: Callable[[Sample], Sequence[Request] | SampleError],
    limits: Limits,
    journal: Journal | None = None,
    stats: EngineStats | None = None,
) -> Iterator[tuple[Sample, list[Outcome] | SampleError]]:
    """Each sample with the outcomes of its requests, or with the error of its plan; in order.

    Of a sample with a request that fails, that outcome stands for all.
    """

    class Planned(Op):
        def converse(self, sample: Sample) -> Conversation:
            planned = plan(sample)
            if isinstance(planned, SampleError):
                return [{"outcomes": planned}]
            try:
                outcomes = yield planned
            except SampleError as error:
                failure = Failure(code=error.code, message=error.message, retryable=error.retryable, attempts=error.attempts)
                outcomes = [Outcome(failure=failure)]
            return [{"outcomes": outcomes}]

        def finish(self, sample: Sample, outcomes: Sequence[Outcome]) -> None:
            raise NotImplementedError

    with Stream([Stage(Planned(), limits, stats=stats)], samples, journal) as stream:
        for _, fates in stream:
            for fate in fates:
                yield fate.sample, fate.outputs[0]["outcomes"]
