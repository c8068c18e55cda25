"""The window over a stream of requests in progress: the caller's side.

One thread submits requests to queues, in the order of its samples, and takes the outcomes as they come. Nothing waits for a batch
to end: everything in the window is in progress (`engine_pipeline.py`).

    with core.window() as window:
        queue = window.queue(limits)
        ticket = window.submit(queue, requests)
        window.flush(queue)
        while not ticket.done:
            window.wait()
        ticket.outcomes()

Where an engine takes batches, the last requests of a queue may wait for others to fill their batch. When nothing else is in
progress, the window is at rest, and `wait` says so: then the caller submits more, or flushes a queue. Whether it is at rest does
not depend on timing, and so neither does the composition of batches.
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

from juicecap.vlm.base import Limits, ModelSettings, Outcome, Request
from juicecap.vlm.journal import HeldFailures
from juicecap.vlm.measurement import Ask
from juicecap.vlm.pipeline.batching import QueuedRequest
from juicecap.vlm.pipeline.engine_pipeline import EnginePipeline
from juicecap.vlm.pipeline.measuring import MeasurementPipeline
from juicecap.vlm.pipeline.resources.engine_stats import EngineStats
from juicecap.vlm.pipeline.resources.window_resources import QueueResources, WindowResources


class Ticket:
    """Requests that were submitted together."""

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


class RequestQueue:
    """Requests in order, of which batches are cut; batches hold requests of one queue alone. `Window.queue` makes it.

    Measurements go the same way, but wait for nothing.
    """

    def __init__(self, resources: QueueResources) -> None:
        self.resources = resources
        self.pipelines: dict[ModelSettings, EnginePipeline] = {}
        self.measuring: MeasurementPipeline | None = None

    @property
    def waiting(self) -> int:
        """Requests that wait for others to fill their batch. Steady while the window is at rest."""
        return sum(pipeline.waiting for pipeline in self.pipelines.values())


class Window:
    """See the module's docstring. Public methods but `fail` are for the one thread that opened it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, resources: WindowResources) -> None:
        self._loop, self._resources = loop, resources
        self._queues: list[RequestQueue] = []
        self._changed = threading.Condition()
        self._calls: list[Callable[[], None]] = []  # for the loop, that it has not done
        self._calling = False
        self._unanswered = 0
        self._answered: list[Ticket] = []
        self._at_rest = True
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Cancel what is still in progress."""
        self._call(self._stop)

    def queue(
        self, limits: Limits, stats: EngineStats | None = None, held: HeldFailures | None = None, place: int = 0
    ) -> RequestQueue:
        """A new queue, whose requests are within these limits. `stats` counts its answers, and `held` takes its failures.

        `place` is as for `QueueResources`.
        """
        queue = RequestQueue(QueueResources(self._resources, limits, stats or EngineStats(), held, place))
        self._queues.append(queue)
        return queue

    def submit(self, queue: RequestQueue, asks: Sequence[Ask]) -> Ticket:
        """Submit requests and measurements, after all earlier ones of the queue."""
        ticket = Ticket(len(asks))
        if asks:
            with self._changed:
                self._unanswered += len(asks)
            self._call(self._accept, queue, ticket, asks)
        return ticket

    def flush(self, queue: RequestQueue) -> None:
        """Let engines that take batches start with what is there: nothing more will be submitted to the queue for now."""
        self._call(self._flush, queue)

    def answered(self) -> list[Ticket]:
        """The tickets that are done since this was asked last."""
        with self._changed:
            tickets, self._answered = self._answered, []
        return tickets

    def wait(self) -> bool:
        """Wait until a ticket is done that `answered` has not given; false: the window is at rest, and none will be.

        Raises:
            JuicecapError: an engine cannot be opened, or died.
        """
        with self._changed:
            while not self._answered:
                if self._failure:
                    raise self._failure
                if self._at_rest:
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
        """Run a function on the loop, after earlier ones. If the loop has ended, so have all windows (`fail`)."""
        with self._changed:
            self._calls.append(partial(work, *arguments))
            self._at_rest = False
            calling, self._calling = self._calling, True
        if not calling:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._take_calls)

    def _take_calls(self) -> None:
        while True:
            with self._changed:
                calls, self._calls = self._calls, []
                self._calling = bool(calls)
            if not calls:
                break
            for call in calls:
                try:
                    call()
                except Exception as error:  # noqa: BLE001  (a bug, for which nobody may wait for ever)
                    self.fail(error)
        self._look_whether_at_rest()

    def _accept(self, queue: RequestQueue, ticket: Ticket, asks: Sequence[Ask]) -> None:
        if self._failure:
            return
        for index, ask in enumerate(asks):
            settle = partial(self._settled, ticket, index)
            if isinstance(ask, Request):
                self._engine_pipeline(queue, ask).add(QueuedRequest(ask, settle))
                continue
            if queue.measuring is None:
                queue.measuring = MeasurementPipeline(queue.resources, self.fail)
            queue.measuring.add(ask, settle)

    def _engine_pipeline(self, queue: RequestQueue, request: Request) -> EnginePipeline:
        pipeline = queue.pipelines.get(request.model)
        if pipeline is None:
            self._resources.site.expect(request)
            pipeline = EnginePipeline(request.model, queue.resources, self.fail, self._look_whether_at_rest)
            queue.pipelines[request.model] = pipeline
        return pipeline

    def _settled(self, ticket: Ticket, index: int, outcome: Outcome) -> None:
        with self._changed:
            ticket.settle(index, outcome)
            self._unanswered -= 1
            if ticket.done:
                self._answered.append(ticket)
                self._changed.notify_all()
        self._look_whether_at_rest()

    def _look_whether_at_rest(self) -> None:
        """Note it if all requests without an answer wait for others to fill their batch. Called on the loop."""
        with self._changed:
            if not self._calling and self._unanswered == sum(queue.waiting for queue in self._queues):
                self._at_rest = True
                self._changed.notify_all()

    def _flush(self, queue: RequestQueue) -> None:
        for pipeline in queue.pipelines.values():
            pipeline.flush()

    def _stop(self) -> None:
        for queue in self._queues:
            for pipeline in queue.pipelines.values():
                pipeline.stop()
            if queue.measuring:
                queue.measuring.stop()
