"""Asking a model about a stream of samples, far enough ahead that the engine never waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from juicecap.errors import SampleError
from juicecap.sample import Sample
from juicecap.vlm import core
from juicecap.vlm.base import Limits, Outcome, Request
from juicecap.vlm.window import Ticket, Window

Plan = Callable[[Sample], Sequence[Request] | SampleError]
"""What to ask about a sample, or why nothing can be asked."""


def answered(samples: Iterable[Sample], plan: Plan, limits: Limits) -> Iterator[tuple[Sample, list[Outcome] | SampleError]]:
    """Each sample with the outcomes of its requests, or with the error of its plan; in order.

    All code of ops runs in the thread that iterates: samples are planned while it waits for the one at the head.

    Raises:
        JuicecapError: an engine cannot be opened, or died.
    """
    source = iter(samples)
    with core.window(limits) as window:
        under_way: deque[tuple[Sample, Ticket | SampleError]] = deque()
        more = True
        while more or under_way:
            while more and window.has_room(len(under_way)):
                sample = next(source, None)
                if sample is None:
                    more = False
                    window.flush()
                else:
                    under_way.append((sample, _sent(window, plan(sample))))
            if not under_way:
                return
            sample, sent = under_way[0]
            if isinstance(sent, SampleError):
                under_way.popleft()
                yield sample, sent
            elif window.wait(sent, or_room_for=len(under_way) if more else None):
                under_way.popleft()
                yield sample, sent.outcomes()


def _sent(window: Window, planned: Sequence[Request] | SampleError) -> Ticket | SampleError:
    return planned if isinstance(planned, SampleError) else window.submit(planned)
