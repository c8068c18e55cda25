"""From requests to outcomes: engines, seeds and media, on an event loop of their own.

The loop runs in a background thread, so that ops are plain synchronous functions wherever they are called: in a script, in
`Dataset.map`, inside a notebook's running loop. Engines are opened at first need, shared by all ops with equal settings,
and closed by `close` or at exit. Ops hold none of this.

If `ask` is told what will be asked next, that batch's media are decoded while this one is answered, and it is answered while
the caller does something with these answers. At most two batches of frames are in memory.

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
Answering = Callable[[Sequence[Request], asyncio.Event], Coroutine[Any, Any, list[Outcome]]]


def ask(requests: Sequence[Request], upcoming: Sequence[Request] = ()) -> list[Outcome]:
    """Answer requests, in order; a request that fails has an outcome that says so.

    `upcoming` are the requests of the next call, as far as they are known: work on them begins meanwhile.

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
        from juicecap.media.load import load_picture  # opens av

        self._load_picture = load_picture
        self.loop = asyncio.new_event_loop()
        self.pid = os.getpid()
        self._workers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="juicecap-media")
        self._engines: dict[ModelSettings, asyncio.Task[Backend]] = {}
        self._ahead: dict[tuple[Request, ...], _Batch] = {}
        self._thread = threading.Thread(target=self.loop.run_forever, name="juicecap-core", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def ask(self, requests: Sequence[Request], upcoming: Sequence[Request]) -> list[Outcome]:
        """See `ask`."""
        batch = self._ahead.pop(tuple(requests), None) or _Batch(self.loop, self._answer, requests)
        await batch.ready.wait()
        self._look_ahead(upcoming)
        return await batch.outcomes

    def _look_ahead(self, upcoming: Sequence[Request]) -> None:
        """Begin with the requests of the next call. What an earlier look ahead began in vain is given up."""
        for batch in self._ahead.values():
            batch.outcomes.cancel()
        self._ahead = {tuple(upcoming): _Batch(self.loop, self._answer, upcoming)} if upcoming else {}

    async def _answer(self, requests: Sequence[Request], ready: asyncio.Event) -> list[Outcome]:
        """Prepare all requests, say so by `ready`, and have each model's engine answer its own."""
        shared: dict[object, asyncio.Future[Any]] = {}
        try:
            prepared = await asyncio.gather(*(self._prepare(request, shared) for request in requests))
        finally:
            ready.set()
        outcomes = {place: each for place, each in enumerate(prepared) if isinstance(each, Outcome)}
        for settings in dict.fromkeys(request.model for request in requests):
            own = {
                place: each
                for place, each in enumerate(prepared)
                if isinstance(each, Prepared) and each.request.model == settings
            }
            backend = await self._engine(settings)
            outcomes |= zip(own, await backend.generate(list(own.values())), strict=True)
        return [outcomes[place] for place in range(len(requests))]

    async def _prepare(self, request: Request, shared: dict[object, asyncio.Future[Any]]) -> Prepared | Outcome:
        """Digest and decode the request's media, each file once for all requests that share it."""
        backend, media = await self._engine(request.model), request.media()
        try:
            digests = {part.value: await self._shared(shared, part.value, content_digest, part.value) for part in media}
            pictures = [
                await self._shared(
                    shared,
                    (part, request.frames),
                    self._load_picture,
                    part.kind,
                    part.value,
                    request.frames,
                    backend.abilities().sizes,
                )
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
            return await asyncio.shield(opening)  # who gives up waiting must not stop it for others
        except BaseException:
            if opening.done() and self._engines.get(settings) is opening:  # it failed: the next request tries again
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


class _Batch:
    """Requests on their way: `ready` once their media are decoded, `outcomes` at the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, answer: Answering, requests: Sequence[Request]) -> None:
        self.ready = asyncio.Event()
        self.outcomes = loop.create_task(answer(requests, self.ready))
        self.outcomes.add_done_callback(_look_at_failure)


def _look_at_failure(task: asyncio.Task[list[Outcome]]) -> None:
    """A failure belongs to whoever asks; a batch that nobody asks for any more fails without a word."""
    if not task.cancelled():
        task.exception()


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
