"""A backend that tests hold open, on an event loop of its own as in the core."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import Any

from juicecap.vlm.base import Backend, Outcome, Prepared

DONE_WITHIN = 300.0
"""Seconds."""


class Running:
    """A described backend, and its engine once it is open; the loop runs in a thread that is not the main one."""

    def __init__(self, described: AbstractAsyncContextManager[Backend]) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._held = AsyncExitStack()
        try:
            self.backend: Backend = self.do(self._held.enter_async_context(described))
        except BaseException:
            self.stop()
            raise
        self.engine: Any = None

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What came of some work on the loop."""
        return self.begin(work).result(DONE_WITHIN)

    def begin(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Some work on the loop, as a future."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def open(self) -> None:
        """Open the engine."""
        self.engine = self.do(self._held.enter_async_context(self.backend.open()))

    def close(self) -> None:
        """Close the engine, and release what the description held."""
        self.do(self._held.aclose())

    def stop(self) -> None:
        """End the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """One call with all of these requests."""
        return self.do(self.engine.generate(batch))

    def answers(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Each request by itself, all at once."""
        return self.do(self.answering(batch))

    async def answering(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """The same, on the loop."""
        return [outcome for (outcome,) in await asyncio.gather(*(self.engine.generate([each]) for each in batch))]


@contextmanager
def running(described: AbstractAsyncContextManager[Backend]) -> Iterator[Running]:
    """The backend, open, as long as one is inside."""
    held = Running(described)
    try:
        held.open()
        yield held
    finally:
        held.close()
        held.stop()
