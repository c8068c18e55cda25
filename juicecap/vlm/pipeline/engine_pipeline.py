"""Carries the requests of a queue to one engine: cut into batches, looked up ahead, answered if something is missing.

    requests ─▶ batching ─▶ lookup (digests, keys, journal, single_flight) ─▶ dispatcher (preparing, engine, journal) ─▶ outcomes

Everything here runs on the core's loop. An engine is opened when the first request needs it.
"""

from __future__ import annotations

from collections.abc import Callable

from juicecap.vlm.base import ModelSettings
from juicecap.vlm.pipeline.batching import Batcher, QueuedRequest, batch_size
from juicecap.vlm.pipeline.dispatcher import Dispatcher
from juicecap.vlm.pipeline.lookup.cache_lookup import LookupStage
from juicecap.vlm.pipeline.lookup.keys import RequestKeys
from juicecap.vlm.pipeline.resources.window_resources import QueueResources
from juicecap.vlm.pipeline.tasks import Tasks


class EnginePipeline:
    """Requests of one queue to one engine, in order. `fail` is called if they cannot be answered.

    `changed` is called when requests may wait for others now that were in progress before.
    """

    def __init__(
        self,
        settings: ModelSettings,
        resources: QueueResources,
        fail: Callable[[BaseException], None],
        changed: Callable[[], None],
    ) -> None:
        self._settings, self._resources = settings, resources
        self._batcher = Batcher()
        self._changed = changed
        self._tasks = Tasks(fail)
        self._tasks.start(self._run())

    def add(self, asked: QueuedRequest) -> None:
        """Take a request, after all earlier ones."""
        self._batcher.add(asked)

    def flush(self) -> None:
        """Release the last batch although it is not full."""
        self._batcher.flush()

    @property
    def waiting(self) -> int:
        """Requests that wait for others to fill their batch."""
        return self._batcher.waiting

    def stop(self) -> None:
        """Cancel what is in progress."""
        self._tasks.stop()

    async def _run(self) -> None:
        """Let batches into the engine, in order."""
        resources = self._resources
        site, limits = resources.site, resources.limits
        keys = await RequestKeys.of(site, self._settings, limits, resources.journal)
        size = batch_size(keys.capabilities, limits)
        self._batcher.begin(size, grow=not limits.batch_size)
        self._changed()
        single_flight = resources.single_flight(self._settings)
        lookup = LookupStage(self._batcher.batches, size, keys, single_flight, resources, self._tasks)
        serving: Dispatcher | None = None
        while True:
            if wanted := await lookup.next():
                if serving is None:
                    with resources.stats.opening():
                        engine = await site.opened(self._settings, limits, size, resources.shared)
                    resources.record(keys.to_pin())
                    serving = Dispatcher(keys, engine, single_flight, resources, self._tasks)
                await serving.enter(wanted)
