"""Where requests become outcomes: an event loop of its own, and what lives on it.

The loop runs in a background thread, so that ops are plain synchronous functions wherever they are called: in a script, in
`Dataset.map`, inside a notebook's running loop. Engines are opened at first need, shared by all ops with equal settings,
and closed by `close` or at exit; the processes that decode likewise. Ops hold none of this.

Who asks opens a window (`vlm/window.py`) and submits requests in order; the way of each is that of `vlm/lane.py`.

Not covered yet: the journal.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from weakref import WeakSet

from juicecap.errors import EnvironmentFailure
from juicecap.media.digest import content_digest
from juicecap.vlm.base import Backend, Limits, ModelSettings, Outcome, Request
from juicecap.vlm.catalog import make_backend
from juicecap.vlm.window import Window

if TYPE_CHECKING:
    from juicecap.media.pool import DecodePool

DEFAULT_LIMITS = Limits()


def window(limits: Limits = DEFAULT_LIMITS) -> Window:
    """A window for a stream of requests; a context manager, to be used by one thread."""
    core = _core()
    opened = Window(core.loop, core, limits)
    core.windows.add(opened)
    return opened


def ask(requests: Sequence[Request], limits: Limits = DEFAULT_LIMITS) -> list[Outcome]:
    """Answer requests, in order; a request that fails has an outcome that says so.

    Raises:
        JuicecapError: an engine cannot be opened, or died.
    """
    with window(limits) as opened:
        ticket = opened.submit(requests)
        opened.flush()
        opened.wait(ticket)
        return ticket.outcomes()


def close() -> None:
    """Close all engines and stop the loop. The next question starts afresh."""
    global _running
    with _lock:
        core, _running = _running, None
    if core:
        core.stop()


class Core:
    """The loop's thread and what lives on it. All methods but `stop` are called on the loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pid = os.getpid()
        self._readers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="juicecap-digest")
        self._engines: dict[ModelSettings, asyncio.Task[Backend]] = {}
        self._pools: dict[tuple[int | None, float], DecodePool] = {}
        self.windows: WeakSet[Window] = WeakSet()
        self._thread = threading.Thread(target=self.loop.run_forever, name="juicecap-core", daemon=True)
        self._thread.start()

    async def engine(self, settings: ModelSettings) -> Backend:
        """The open engine with these settings.

        Raises:
            JuicecapError: it cannot be opened; the next caller tries again.
        """
        if settings not in self._engines:
            self._engines[settings] = self.loop.create_task(_opened(settings))
        opening = self._engines[settings]
        try:
            return await asyncio.shield(opening)  # who gives up waiting must not stop it for others
        except BaseException:
            if opening.done() and self._engines.get(settings) is opening:
                del self._engines[settings]
            raise

    def pool(self, limits: Limits) -> DecodePool:
        """The processes that decode within these limits."""
        from juicecap.media.pool import DecodePool

        key = limits.workers, limits.decode_seconds
        if key not in self._pools:
            self._pools[key] = DecodePool(limits.workers, cpu_seconds=limits.decode_seconds)
        return self._pools[key]

    async def digest(self, path: str) -> str:
        """See `content_digest`."""
        return await self.loop.run_in_executor(self._readers, content_digest, path)

    def stop(self) -> None:
        """Close engines and processes and end the thread."""
        if self.pid == os.getpid():
            asyncio.run_coroutine_threadsafe(self._close(), self.loop).result()
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self._readers.shutdown(wait=False, cancel_futures=True)

    async def _close(self) -> None:
        for window in list(self.windows):
            window.fail(EnvironmentFailure("the engines were closed while requests were under way; running again resumes"))
        engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            engine.cancel()  # does nothing to one that is open
        for opened in await asyncio.gather(*engines, return_exceptions=True):
            if not isinstance(opened, BaseException):
                await opened.close()
        for pool in self._pools.values():
            await pool.close()


async def _opened(settings: ModelSettings) -> Backend:
    backend = make_backend(settings)
    await backend.open()
    return backend


_running: Core | None = None
_lock = threading.Lock()


def _core() -> Core:
    """The running core; a forked child starts its own, since threads do not survive a fork."""
    global _running  # noqa: PLW0603
    with _lock:
        if _running is None or _running.pid != os.getpid():
            _running = Core()
        return _running


atexit.register(close)
