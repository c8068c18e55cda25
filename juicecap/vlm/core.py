"""Where requests become outcomes: an event loop of its own, and what lives on it.

The loop runs in a background thread, so that ops are plain synchronous functions wherever they are called: in a script, in
`Dataset.map`, inside a notebook's running loop. Engines are opened at first need, shared by all ops with equal settings,
and closed by `close` or at exit; the processes that decode likewise. Ops hold none of this.

Who asks opens a window (`vlm/window.py`) and submits requests in order; the way of each is that of `vlm/lane.py`.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from juicecap.errors import EnvironmentFailure, MediaError
from juicecap.media.digest import FileState, content_digest, file_state
from juicecap.media.files import lies_inside
from juicecap.media.remote import fetch, rules_of
from juicecap.media.rules import DEFAULT_RULES, MediaRules
from juicecap.sample import is_remote
from juicecap.vlm.base import Backend, Limits, ModelSettings, Outcome, Request
from juicecap.vlm.catalog import make_backend
from juicecap.vlm.frame_memory import FrameMemory
from juicecap.vlm.journal import Journal
from juicecap.vlm.keys import Identified, Keyed, Keys
from juicecap.vlm.models import model_state
from juicecap.vlm.window import Window

if TYPE_CHECKING:
    from juicecap.media.pool import DecodePool
    from juicecap.media.probe import VideoInfo

DEFAULT_LIMITS = Limits()

READERS = 8
"""Threads that digest files; they wait for disks more than they compute."""


def window(limits: Limits = DEFAULT_LIMITS, journal: Journal | None = None) -> Window:
    """A window for a stream of requests; a context manager, to be used by one thread. What `journal` knows is not asked."""
    with _lock:
        core = _core()
        opened = Window(core.loop, core, limits, journal)
        core.windows.add(opened)
    return opened


def ask(requests: Sequence[Request], limits: Limits = DEFAULT_LIMITS, journal: Journal | None = None) -> list[Outcome]:
    """Answer requests, in order; a request that fails has an outcome that says so.

    Raises:
        JuicecapError: an engine cannot be opened, or died.
    """
    with window(limits, journal) as opened:
        ticket = opened.submit(requests)
        opened.flush()
        opened.wait(ticket)
        return ticket.outcomes()


def known_answers(requests: Sequence[Request], journal: Journal, limits: Limits = DEFAULT_LIMITS) -> list[int]:
    """How many answers to each of these requests the journal has; a failure counts as all of them.

    Media that the journal has not met are not read: it is taken to know nothing about them. No engine is opened.

    Raises:
        JuicecapError: an engine cannot be identified.
    """
    with _lock:
        core = _core()
    return asyncio.run_coroutine_threadsafe(core.known_answers(requests, journal, limits), core.loop).result()


def probe(path: str, limits: Limits = DEFAULT_LIMITS) -> VideoInfo:
    """What a video's header says, read by a process that decodes: one that hangs or crashes it costs this video alone.

    Raises:
        MediaError: it cannot be used.
        EnvironmentFailure: no process can be started to read it.
    """
    with _lock:
        core = _core()
    return asyncio.run_coroutine_threadsafe(core.probe(path, limits), core.loop).result()


def close() -> None:
    """Close all engines and stop the loop. The next question starts afresh."""
    global _running
    with _lock:
        core, _running = _running, None
        windows = list(core.windows) if core else []
    if core:
        core.stop(windows)


def close_engines(but: Collection[ModelSettings] = ()) -> None:
    """Close the engines that nobody is going to ask any more: all `but` these. Nobody may be asking them now."""
    with _lock:
        core = _running if _running and _running.pid == os.getpid() else None
    if core:
        asyncio.run_coroutine_threadsafe(core.close_engines(but), core.loop).result()


class Core:
    """The loop's thread and what lives on it. All methods but `stop` are called on the loop; `windows` is guarded by `_lock`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pid = os.getpid()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="juicecap-digest")
        self._identified: dict[ModelSettings, asyncio.Task[Identified]] = {}
        self._engines: dict[ModelSettings, asyncio.Task[Backend]] = {}
        self._turns: dict[tuple[ModelSettings, int], asyncio.Semaphore] = {}
        self._pools: dict[tuple[int | None, float, int], DecodePool] = {}
        self._memories: dict[int | None, FrameMemory] = {}
        self.windows: WeakSet[Window] = WeakSet()
        self._thread = threading.Thread(target=self.loop.run_forever, name="juicecap-core", daemon=True)
        self._thread.start()

    async def identified(self, settings: ModelSettings, pin: str = "") -> Identified:
        """The engine with these settings as it can be looked up. `pin` is for one that nobody has looked up yet.

        Raises:
            JuicecapError: it cannot be identified; the next caller tries again.
        """
        task = self._identified.get(settings)
        if task is None:
            task = self._identified[settings] = self.loop.create_task(_identified(settings, pin))
            task.add_done_callback(partial(self._look_at, settings))
        return await asyncio.shield(task)  # who gives up waiting must not stop it for others

    async def engine(self, settings: ModelSettings) -> Backend:
        """The open engine with these settings.

        Raises:
            JuicecapError: it cannot be opened; the next caller tries again.
        """
        backend = (await self.identified(settings)).backend
        opening = self._engines.get(settings)
        if opening is None:
            opening = self._engines[settings] = self.loop.create_task(_opened(backend))
            opening.add_done_callback(partial(self._look_at, settings))
        return await asyncio.shield(opening)

    def _look_at(self, settings: ModelSettings, task: asyncio.Task[Any]) -> None:
        """Forget an engine that failed."""
        if (task.cancelled() or task.exception()) and task in (self._identified.get(settings), self._engines.get(settings)):
            self._identified.pop(settings, None)
            self._engines.pop(settings, None)

    async def known_answers(self, requests: Sequence[Request], journal: Journal, limits: Limits) -> list[int]:
        """See the function of this name."""
        engines = {request.model: await Keys.of(self, request.model, limits, journal) for request in requests}
        keyed: dict[int, Keyed] = {}
        for model, keys in engines.items():
            own = {place: request for place, request in enumerate(requests) if request.model == model}
            recalled = await keys.recalled(own.values(), reread=True)
            for place, request in own.items():
                if all(part.value in recalled for part in request.media()):
                    keyed[place] = keys.key(request, recalled)
        look = await asyncio.wrap_future(journal.look([key for each in keyed.values() for key in each.kept_under]))
        known = {place: each.known(look) for place, each in keyed.items()}
        return [
            (request.candidates if known[place].failure else len(known[place].answers)) if place in known else 0
            for place, request in enumerate(requests)
        ]

    def turns(self, settings: ModelSettings, calls: int) -> asyncio.Semaphore:
        """So many calls of the engine may be under way, of all windows together."""
        return self._turns.setdefault((settings, calls), asyncio.Semaphore(calls))

    def memory(self, limits: Limits) -> FrameMemory:
        """The room for frames, of all windows with this limit together."""
        return self._memories.setdefault(limits.frame_bytes, FrameMemory(limits.frame_bytes))

    def pool(self, limits: Limits) -> DecodePool:
        """The processes that decode within these limits."""
        from juicecap.media.pool import DecodePool

        key = limits.workers, limits.decode_seconds, limits.decode_bytes
        if key not in self._pools:
            self._pools[key] = DecodePool(limits.workers, cpu_seconds=limits.decode_seconds, memory=limits.decode_bytes)
        return self._pools[key]

    async def probe(self, path: str, limits: Limits) -> VideoInfo:
        """See the function of this name."""
        if not (limits.media.allow_remote and is_remote(path)):
            return await self.pool(limits).probe(path, limits.media)
        brought = await fetch(path, limits.media)
        try:
            return await self.pool(limits).probe(brought.path, rules_of(brought.path, limits.media))
        except MediaError as error:
            raise MediaError(error.code, brought.renamed(error.message), retryable=error.retryable) from error

    async def states(self, paths: Collection[str], rules: MediaRules = DEFAULT_RULES) -> dict[str, FileState | None]:
        """The states of these files; None for what does not keep to the rules."""
        return await self.loop.run_in_executor(self._readers, _states, paths, rules)

    async def digest(self, path: str, rules: MediaRules = DEFAULT_RULES) -> tuple[str, FileState]:
        """See `content_digest`; and the state of the file that it belongs to."""
        return await self.loop.run_in_executor(self._readers, _digest_and_state, path, rules)

    async def unchanged(self, path: str, state: FileState) -> bool:
        """Whether nobody has touched the file since it was in this state."""
        return state.holds(await self.loop.run_in_executor(self._readers, file_state, path))

    async def close_engines(self, but: Collection[ModelSettings] = ()) -> list[BaseException]:
        """Close engines, opening ones included; what goes wrong with one does not keep the others."""
        tasks = {settings: task for settings, task in self._engines.items() if settings not in but}
        looked_at = {settings: task for settings, task in self._identified.items() if settings not in but}
        self._engines = {settings: task for settings, task in self._engines.items() if settings in but}
        self._identified = {settings: task for settings, task in self._identified.items() if settings in but}
        self._turns = {key: turns for key, turns in self._turns.items() if key[0] in but}
        for task in (*tasks.values(), *looked_at.values()):
            task.cancel()  # does nothing to what is there
        unopened = [task for settings, task in looked_at.items() if settings not in tasks]
        identified = await asyncio.gather(*unopened, return_exceptions=True)
        opened = await asyncio.gather(*tasks.values(), return_exceptions=True)
        opened += [each if isinstance(each, BaseException) else each.backend for each in identified]
        closed = await asyncio.gather(
            *(engine.close() for engine in opened if not isinstance(engine, BaseException)), return_exceptions=True
        )
        return [error for error in closed if error]

    def stop(self, windows: Iterable[Window]) -> None:
        """Close engines and processes, let those know who wait in windows, and end the thread."""
        if self.pid != os.getpid():
            return
        errors = asyncio.run_coroutine_threadsafe(self._close(windows), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self._readers.shutdown(wait=False, cancel_futures=True)
        if errors:
            raise errors[0]

    async def _close(self, windows: Iterable[Window]) -> list[BaseException]:
        for window in windows:
            window.fail(EnvironmentFailure("the engines were closed while requests were under way; running again resumes"))
        errors = await self.close_engines()
        for pool in self._pools.values():
            await pool.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return errors


def _digest_and_state(path: str, rules: MediaRules) -> tuple[str, FileState]:
    state = file_state(path)
    return content_digest(path, rules), state or FileState(0, 0, 0, 0)  # without a state there is no digest


def _states(paths: Collection[str], rules: MediaRules) -> dict[str, FileState | None]:
    return {path: file_state(path) if lies_inside(path, rules) else None for path in paths}


async def _identified(settings: ModelSettings, pin: str) -> Identified:
    state = "" if settings.backend == "openai" else await asyncio.to_thread(model_state, settings.model)
    backend = make_backend(settings)
    return Identified(backend, await backend.identify(pin), state)


async def _opened(backend: Backend) -> Backend:
    await backend.open()
    return backend


_running: Core | None = None
_lock = threading.Lock()


def _core() -> Core:
    """The running core, under `_lock`; a forked child starts its own, since threads do not survive a fork."""
    global _running  # noqa: PLW0603
    if _running is None or _running.pid != os.getpid():
        _running = Core()
    return _running


atexit.register(close)
