"""From requests to outcomes: engines, seeds and media, on an event loop of their own.

The loop runs in a background thread, so that ops are plain synchronous functions wherever they are called: in a script, in
`Dataset.map`, inside a notebook's running loop. Engines are opened at first need, shared by all ops with equal settings,
and closed by `close` or at exit. Ops hold none of this.

While a batch is answered, the media of the batch that will be asked next are decoded, if `ask` is told about it: at most two
batches of frames are in memory.

Not covered yet: a window that does not stop at the end of a batch, the journal, decoding in worker processes.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from juicecap.errors import SampleError
from juicecap.media.digest import content_digest
from juicecap.vlm.base import Backend, Failure, ModelSettings, Outcome, Prepared, Request
from juicecap.vlm.catalog import make_backend

T = TypeVar("T")


def ask(requests: Sequence[Request], upcoming: Sequence[Request] = ()) -> list[Outcome]:
    """Answer requests, in order; a request that fails has an outcome that says so.

    `upcoming` are requests that the next call will probably ask; their media are decoded meanwhile.

    Raises:
        JuicecapError: an engine cannot be opened, or died.
    """
    core = _core()
    return core.call(core.ask(requests, upcoming))


def close() -> None:
    """Close all engines and stop the loop. The next `ask` starts afresh."""
    global _running
    with _lock:
        core, _running = _running, None
    if core:
        core.stop()


class _Core:
    """The loop's thread and what lives on it."""

    def __init__(self) -> None:
        from juicecap.vlm.pictures import load_picture  # opens av

        self._load_picture = load_picture
        self.loop = asyncio.new_event_loop()
        self.pid = os.getpid()
        self._workers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="juicecap-media")
        self._engines: dict[ModelSettings, asyncio.Task[Backend]] = {}
        self._ahead: dict[Request, asyncio.Task[Prepared | Outcome]] = {}
        self._thread = threading.Thread(target=self.loop.run_forever, name="juicecap-core", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def ask(self, requests: Sequence[Request], upcoming: Sequence[Request]) -> list[Outcome]:
        """See `ask`."""
        ready = await asyncio.gather(*self._preparing(requests))
        self._look_ahead(upcoming)
        outcomes = {place: each for place, each in enumerate(ready) if isinstance(each, Outcome)}
        for settings in dict.fromkeys(request.model for request in requests):
            batch = {
                place: each for place, each in enumerate(ready) if isinstance(each, Prepared) and each.request.model == settings
            }
            backend = await self._engine(settings)
            outcomes |= zip(batch, await backend.generate(list(batch.values())), strict=True)
        return [outcomes[place] for place in range(len(requests))]

    def _preparing(self, requests: Sequence[Request]) -> list[asyncio.Task[Prepared | Outcome]]:
        """A task for each request: the one that looked ahead, or a new one."""
        shared: dict[object, asyncio.Future[Any]] = {}
        tasks: dict[Request, asyncio.Task[Prepared | Outcome]] = {}
        for request in requests:
            if request not in tasks:
                tasks[request] = (
                    self._ahead.pop(request) if request in self._ahead else self.loop.create_task(self._prepare(request, shared))
                )
        return [tasks[request] for request in requests]

    def _look_ahead(self, upcoming: Sequence[Request]) -> None:
        """Begin with the requests of the next call. What an earlier look ahead began in vain is given up."""
        given_up, self._ahead = self._ahead, {}
        for task in given_up.values():
            task.cancel()
        self._ahead = dict(zip(upcoming, self._preparing(upcoming), strict=True))

    async def _prepare(self, request: Request, shared: dict[object, asyncio.Future[Any]]) -> Prepared | Outcome:
        """Digest and decode the request's media, each file once for all requests that share it."""
        backend, media = await self._engine(request.model), request.media()
        try:
            digests = {part.value: await self._shared(shared, part.value, content_digest, part.value) for part in media}
            pictures = [
                await self._shared(shared, (part, request.frames), self._load_picture, part, request.frames, backend)
                for part in media
            ]
        except SampleError as error:
            return Outcome(failure=Failure(code=error.code, message=error.message, retryable=error.retryable))
        seed = request.derived_seed(request.key(digests, backend.identity()))
        return Prepared(request=request, pictures=tuple(pictures), seed=seed)

    async def _shared(self, shared: dict[object, asyncio.Future[Any]], key: object, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work` on a worker thread, or wait for it where it runs already."""
        if key not in shared:
            shared[key] = self.loop.run_in_executor(self._workers, work, *arguments)
        result: T = await shared[key]
        return result

    async def _engine(self, settings: ModelSettings) -> Backend:
        if settings not in self._engines:
            self._engines[settings] = self.loop.create_task(_opened(settings))
        opening = self._engines[settings]
        try:
            return await opening
        except BaseException:
            if self._engines.get(settings) is opening:  # the next request tries again
                del self._engines[settings]
            raise

    def stop(self) -> None:
        """Close all engines and end the thread."""
        if self.pid == os.getpid():
            self.call(self._close())
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self._workers.shutdown(wait=False, cancel_futures=True)

    async def _close(self) -> None:
        self._look_ahead(())
        engines, self._engines = list(self._engines.values()), {}
        for engine in engines:
            if engine.done() and not engine.cancelled() and engine.exception() is None:
                await engine.result().close()


async def _opened(settings: ModelSettings) -> Backend:
    backend = make_backend(settings)
    await backend.open()
    return backend


_running: _Core | None = None
_lock = threading.Lock()


def _core() -> _Core:
    """The running core; a forked child starts its own, since threads do not survive a fork."""
    global _running  # noqa: PLW0603
    with _lock:
        if _running is None or _running.pid != os.getpid():
            _running = _Core()
        return _running


atexit.register(close)
