"""The engines of this process: described and opened when first needed, and shared by all callers with equal settings."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from juicecap.vlm.backends.opening import describer
from juicecap.vlm.base import Backend, Engine, ModelSettings, Request
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.engine_facts import engine_facts
from juicecap.vlm.models.revision import folder_revision
from juicecap.vlm.pipeline.sites.site import Description


@dataclass(frozen=True)
class Described:
    """A described engine, open or not. `held` is released when it is closed."""

    backend: Backend
    description: Description
    held: AsyncExitStack


class Engines:
    """Engines by their settings. All methods are called on the core's loop."""

    def __init__(self) -> None:
        self._expected: dict[ModelSettings, Request] = {}
        self._described: dict[ModelSettings, asyncio.Task[Described]] = {}
        self._opened: dict[ModelSettings, asyncio.Task[Engine]] = {}
        self._turns: dict[tuple[ModelSettings, int], asyncio.Semaphore] = {}

    def expect(self, request: Request) -> None:
        """Know what an engine is going to be asked, if it is not described yet: the first such request counts."""
        self._expected.setdefault(request.model, request)

    async def described(self, settings: ModelSettings, transport_choice: str = "") -> Described:
        """The engine with these settings, described. `transport_choice` is used if it has not been described yet.

        Raises:
            JuicecapError: it cannot be described; the next caller tries again.
        """
        task = self._described.get(settings)
        if task is None:
            task = self._described[settings] = asyncio.create_task(
                _describe(settings, transport_choice, self._expected.get(settings))
            )
            task.add_done_callback(partial(self._forget_failed, settings))
        return await asyncio.shield(task)  # a caller that gives up waiting must not stop it for others

    async def opened(self, settings: ModelSettings) -> Engine:
        """The open engine with these settings.

        Raises:
            JuicecapError: it cannot be opened; the next caller tries again.
        """
        described = await self.described(settings)
        opening = self._opened.get(settings)
        if opening is None:
            opening = self._opened[settings] = asyncio.create_task(_open(described))
            opening.add_done_callback(partial(self._forget_failed, settings))
        return await asyncio.shield(opening)

    def turns(self, settings: ModelSettings, calls: int) -> asyncio.Semaphore:
        """The semaphore for `calls` calls of the engine at once, of all windows together."""
        return self._turns.setdefault((settings, calls), asyncio.Semaphore(calls))

    async def close(self, but: Collection[ModelSettings] = ()) -> list[BaseException]:
        """Close engines, those that are being opened included; an error of one does not keep the others open."""
        describing = {settings: task for settings, task in self._described.items() if settings not in but}
        opening = {settings: task for settings, task in self._opened.items() if settings not in but}
        self._described = {settings: task for settings, task in self._described.items() if settings in but}
        self._opened = {settings: task for settings, task in self._opened.items() if settings in but}
        self._expected = {settings: request for settings, request in self._expected.items() if settings in but}
        self._turns = {key: turns for key, turns in self._turns.items() if key[0] in but}
        for task in (*opening.values(), *describing.values()):
            task.cancel()  # does nothing to one that is done
        await asyncio.gather(*opening.values(), return_exceptions=True)
        described = await asyncio.gather(*describing.values(), return_exceptions=True)
        released = (one.held.aclose() for one in described if isinstance(one, Described))
        return [error for error in await asyncio.gather(*released, return_exceptions=True) if error]

    def _forget_failed(self, settings: ModelSettings, task: asyncio.Task[Any]) -> None:
        if (task.cancelled() or task.exception()) and task in (self._described.get(settings), self._opened.get(settings)):
            self._described.pop(settings, None)
            self._opened.pop(settings, None)


async def _describe(settings: ModelSettings, transport_choice: str, first: Request | None) -> Described:
    revision = "" if spec_of(settings).is_remote else await asyncio.to_thread(folder_revision, settings.model)
    held = AsyncExitStack()
    more: dict[str, Any] = {"first": first} if spec_of(settings).tries_first else {}
    backend = await held.enter_async_context(describer(settings)(settings, transport_choice, **more))
    description = Description(
        identity=backend.identity,
        capabilities=backend.capabilities,
        transport_choice=backend.transport_choice,
        lessons=backend.lessons,
        revision=revision,
        facts=engine_facts(settings, backend.facts),
    )
    return Described(backend, description, held)


async def _open(described: Described) -> Engine:
    try:
        return await described.held.enter_async_context(described.backend.open())
    except BaseException:
        await described.held.aclose()
        raise
