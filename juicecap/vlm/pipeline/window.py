"""A sliding window over a stream of requests: the caller's side.

One thread submits requests in the order of its samples, as long as there is room, and takes their outcomes in the same
order. Nothing waits for a batch to end: everything in the window is in progress (`engine_pipeline.py`).

    with core.window() as window:
        tickets = deque()
        while ...:
            while window.has_room(len(tickets)) and (there is another sample):
                tickets.append(window.submit(its requests))
            if window.wait(tickets[0], or_room_for=len(tickets)):
                ... tickets.popleft().outcomes()
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

from juicecap.vlm.base import ModelSettings, Outcome, Request
from juicecap.vlm.pipeline.batching import QueuedRequest
from juicecap.vlm.pipeline.engine_pipeline import EnginePipeline
from juicecap.vlm.pipeline.resources.window_resources import WindowResources

MOST_REQUESTS = 1024
"""Unanswered requests in a window. They hold no pixels; `vlm/pipeline/dispatcher.py` limits those."""

MOST_SAMPLES = 4096
"""Samples in a window, answered or not."""


class PendingSample:
    """The requests of one sample, in progress."""

    def __init__(self, count: int) -> None:
        self._outcomes: list[Outcome | None] = [None] * count
        self._missing = count

    @property
    def done(self) -> bool:
        """Whether all outcomes are there."""
        return not self._missing

    def outcomes(self) -> list[Outcome]:
        """The outcomes, in the order of the requests, once `done`."""
        assert self.done, "wait() comes first"
        return [outcome for outcome in self._outcomes if outcome is not None]

    def settle(self, index: int, outcome: Outcome) -> None:
        """Note one outcome."""
        self._outcomes[index] = outcome
        self._missing -= 1


class Window:
    """See the module's docstring. Public methods but `fail` are for the one thread that opened it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, resources: WindowResources) -> None:
        self._loop, self._resources = loop, resources
        self._pipelines: dict[ModelSettings, EnginePipeline] = {}
        self._changed = threading.Condition()
        self._unanswered = 0
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Cancel what is still in progress."""
        self._call(self._stop)

    def has_room(self, samples: int) -> bool:
        """Whether another sample may be submitted, besides `samples` whose outcomes have not been taken."""
        return samples < MOST_SAMPLES and self._unanswered < MOST_REQUESTS

    def submit(self, requests: Sequence[Request]) -> PendingSample:
        """Submit the requests of a sample."""
        ticket = PendingSample(len(requests))
        if requests:
            with self._changed:
                self._unanswered += len(requests)
            self._call(self._accept, ticket, requests)
        return ticket

    def flush(self) -> None:
        """Let engines that take batches start with what they have: nothing more will be submitted for now."""
        self._call(self._flush)

    def wait(self, ticket: PendingSample, or_room_for: int | None = None) -> bool:
        """Wait until a ticket is done, or with `or_room_for` (as `has_room`) until there is room; returns whether it is done.

        Raises:
            JuicecapError: an engine cannot be opened, or died.
        """
        if or_room_for is not None and not self.has_room(or_room_for):
            self._call(self._flush_for, ticket)  # the window is full, and does not fill a batch
        with self._changed:
            while not ticket.done:
                if self._failure:
                    raise self._failure
                if or_room_for is not None and self.has_room(or_room_for):
                    return False
                self._changed.wait()
        return True

    def fail(self, error: BaseException) -> None:
        """End all waiting: there will be no more outcomes. Called on the loop."""
        traceback.clear_frames(error.__traceback__)  # they hold frames of videos, and errors are kept
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()
        self._stop()

    def _call(self, work: Callable[..., None], *arguments: object) -> None:
        """Run a function on the loop. If the loop has ended, so have all windows (`fail`)."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(work, *arguments)

    def _accept(self, ticket: PendingSample, requests: Sequence[Request]) -> None:
        if self._failure:
            return
        for index, request in enumerate(requests):
            pipeline = self._pipelines.get(request.model)
            if pipeline is None:
                self._resources.common.engines.expect(request)
                pipeline = self._pipelines[request.model] = EnginePipeline(request.model, self._resources, self.fail)
            pipeline.add(QueuedRequest(request, ticket, partial(self._settled, ticket, index)))

    def _settled(self, ticket: PendingSample, index: int, outcome: Outcome) -> None:
        with self._changed:
            ticket.settle(index, outcome)
            self._unanswered -= 1
            self._changed.notify_all()

    def _flush(self) -> None:
        for pipeline in self._pipelines.values():
            pipeline.flush()

    def _flush_for(self, ticket: PendingSample) -> None:
        for pipeline in self._pipelines.values():
            pipeline.flush_for(ticket)

    def _stop(self) -> None:
        for pipeline in self._pipelines.values():
            pipeline.stop()
