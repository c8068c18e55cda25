"""The engines of this process: identified and opened when first needed, and shared by all requests with equal settings."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from juicecap.vlm.backends.opening import make_backend
from juicecap.vlm.base import Backend, ModelSettings
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.models.names import model_state


@dataclass(frozen=True)
class Identified:
    """An identified engine, open or not. `transport_choice` is what `Backend.identify` returned."""

    backend: Backend
    transport_choice: str
    model_state: str
    """A digest of a local model's files by name, size and time."""


class Engines:
    """Engines by their settings. All methods are called on the core's loop."""

    def __init__(self) -> None:
        self._identified: dict[ModelSettings, asyncio.Task[Identified]] = {}
        self._opened: dict[ModelSettings, asyncio.Task[Backend]] = {}
        self._turns: dict[tuple[ModelSettings, int], asyncio.Semaphore] = {}

    async def identified(self, settings: ModelSettings, transport_choice: str = "") -> Identified:
        """The engine with these settings, identified. `transport_choice` is used if it has not been identified yet.

        Raises:
            JuicecapError: it cannot be identified; the next caller tries again.
        """
        task = self._identified.get(settings)
        if task is None:
            task = self._identified[settings] = asyncio.create_task(_identified(settings, transport_choice))
            task.add_done_callback(partial(self._forget_failed, settings))
        return await asyncio.shield(task)  # a caller that is cancelled must not stop it for others

    async def opened(self, settings: ModelSettings) -> Backend:
        """The open engine with these settings.

        Raises:
            JuicecapError: it cannot be opened; the next caller tries again.
        """
        backend = (await self.identified(settings)).backend
        opening = self._opened.get(settings)
        if opening is None:
            opening = self._opened[settings] = asyncio.create_task(_opened(backend))
            opening.add_done_callback(partial(self._forget_failed, settings))
        return await asyncio.shield(opening)

    def turns(self, settings: ModelSettings, calls: int) -> asyncio.Semaphore:
        """The semaphore for concurrent calls of the engine, of all windows together."""
        return self._turns.setdefault((settings, calls), asyncio.Semaphore(calls))

    async def close(self, but: Collection[ModelSettings] = ()) -> list[BaseException]:
        """Close engines, including those being opened; an error of one does not keep the others open."""
        tasks = {settings: task for settings, task in self._opened.items() if settings not in but}
        looked_at = {settings: task for settings, task in self._identified.items() if settings not in but}
        self._opened = {settings: task for settings, task in self._opened.items() if settings in but}
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

    def _forget_failed(self, settings: ModelSettings, task: asyncio.Task[Any]) -> None:
        if (task.cancelled() or task.exception()) and task in (self._identified.get(settings), self._opened.get(settings)):
            self._identified.pop(settings, None)
            self._opened.pop(settings, None)


async def _identified(settings: ModelSettings, transport_choice: str) -> Identified:
    state = "" if spec_of(settings).is_remote else await asyncio.to_thread(model_state, settings.model)
    backend = make_backend(settings)
    return Identified(backend, await backend.identify(transport_choice), state)


async def _opened(backend: Backend) -> Backend:
    await backend.open()
    return backend
