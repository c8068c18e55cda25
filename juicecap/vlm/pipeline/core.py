"""The core, which answers requests: an event loop, and the engines and workers that belong to it.

The loop runs in a background thread, so that ops are plain synchronous functions wherever they are called: in a script, in
`Dataset.map`, inside a notebook's running loop. Engines are opened when first needed, shared by all ops with equal settings, and
closed by `close` or at exit; so are the decoding workers. Ops own neither.

A caller opens a window (`vlm/pipeline/window.py`) and submits requests in order; each goes through `engine_pipeline.py`.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from juicecap.errors import EnvironmentFailure
from juicecap.vlm.base import Capabilities, Limits, ModelSettings, Outcome, Request
from juicecap.vlm.journal import Journal
from juicecap.vlm.measurement import Ask
from juicecap.vlm.pipeline.lookup import cache_lookup
from juicecap.vlm.pipeline.lookup.digests import DigestThreads
from juicecap.vlm.pipeline.lookup.keys import RequestKeys
from juicecap.vlm.pipeline.resources.window_resources import Resources, WindowResources
from juicecap.vlm.pipeline.sites.local_site import LocalSite
from juicecap.vlm.pipeline.sites.site import Site
from juicecap.vlm.pipeline.window import Window

T = TypeVar("T")

DEFAULT_LIMITS = Limits()


def window(journal: Journal | None = None, media_folder: Path | None = None) -> Window:
    """A window for a stream of requests; a context manager, to be used by one thread. Answers in `journal` are reused.

    Files that tasks write go into `media_folder`.
    """
    with _lock:
        core = _core()
        opened = Window(core.loop, WindowResources(core.resources, journal, media_folder))
        core.windows.add(opened)
    return opened


def ask(
    asks: Sequence[Ask],
    limits: Limits = DEFAULT_LIMITS,
    journal: Journal | None = None,
    media_folder: Path | None = None,
) -> list[Outcome]:
    """Answer requests and make measurements, in order; what fails has an outcome that says so.

    Raises:
        JuicecapError: an engine cannot be opened, or died.
    """
    with window(journal, media_folder) as opened:
        queue = opened.queue(limits)
        ticket = opened.submit(queue, asks)
        opened.flush(queue)
        while not ticket.done:
            opened.wait()
        return ticket.outcomes()


def describe(models: Iterable[ModelSettings], journal: Journal | None = None, first: Request | None = None) -> list[Capabilities]:
    """The capabilities of these engines; none is opened. A server that this `journal` does not know is contacted.

    `first` is like what one of them is going to be asked.

    Raises:
        JuicecapError: one cannot be described.
    """
    with _lock:
        core = _core()
    if first:
        core.loop.call_soon_threadsafe(core.resources.site.expect, first)
    return [core.do(RequestKeys.of(core.resources.site, model, DEFAULT_LIMITS, journal)).capabilities for model in models]


def identities(models: Iterable[ModelSettings], journal: Journal | None = None) -> list[str]:
    """What tells each of these engines from any that could answer otherwise; described as by `describe`, and none is opened.

    Raises:
        JuicecapError: one cannot be described.
    """
    with _lock:
        core = _core()
    return [core.do(RequestKeys.of(core.resources.site, model, DEFAULT_LIMITS, journal)).identity for model in models]


def known_outcomes(requests: Sequence[Request], journal: Journal, limits: Limits = DEFAULT_LIMITS) -> list[Outcome]:
    """What the journal knows of these requests: answers up to the first that is missing, or a failure.

    Media that the journal does not know are not read: they count as having no answers. No engine is opened.

    Raises:
        JuicecapError: an engine cannot be described.
    """
    with _lock:
        core = _core()
    return core.do(cache_lookup.known_outcomes(requests, journal, limits, core.resources))


def close() -> None:
    """Close all engines and stop the loop. The next request starts a new one."""
    global _running
    with _lock:
        core, _running = _running, None
        windows = list(core.windows) if core else []
    if core:
        core.stop(windows)


def close_engines(but: Collection[ModelSettings] = ()) -> None:
    """Close all engines `but` these. The closed ones must not be in use."""
    with _lock:
        core = _running if _running and _running.pid == os.getpid() else None
    if core:
        core.do(core.resources.site.close_engines(but))


def width() -> int:
    """How many engines answer side by side at most."""
    with _lock:
        return _running.resources.site.width if _running and _running.pid == os.getpid() else 1


@contextmanager
def answering_at(site: Site) -> Iterator[None]:
    """A block in which requests of new windows go to this site, which is closed afterwards."""
    with _lock:
        core = _core()
        before, core.resources.site = core.resources.site, site
    try:
        yield
    finally:
        with _lock:
            core.resources.site = before
        errors = core.do(site.close())
    if errors:
        raise errors[0]


class Core:
    """The loop's thread and the objects that belong to it. `windows` is guarded by `_lock`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pid = os.getpid()
        self._files = DigestThreads()
        self.resources = Resources(LocalSite(self._files))
        self.windows: WeakSet[Window] = WeakSet()
        self._thread = threading.Thread(target=self.loop.run_forever, name="juicecap-core", daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def stop(self, windows: Iterable[Window]) -> None:
        """Close engines and processes, fail the windows that are open, and end the thread."""
        if self.pid != os.getpid():
            return
        errors = self.do(self._close(windows))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self._files.close()
        if errors:
            raise errors[0]

    async def _close(self, windows: Iterable[Window]) -> list[BaseException]:
        for window in windows:
            window.fail(EnvironmentFailure("the engines were closed while requests were under way; running again resumes"))
        errors = await self.resources.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return errors


_running: Core | None = None
_lock = threading.Lock()


def _core() -> Core:
    """The running core, under `_lock`; a forked child starts its own, since threads do not survive a fork."""
    global _running  # noqa: PLW0603
    if _running is None or _running.pid != os.getpid():
        _running = Core()
    return _running


atexit.register(close)
