"""A cluster as a site: files, measurements and engines of all its actors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from juicecap.errors import JuicecapError
from juicecap.file_state import FileState
from juicecap.media.access.remote import Fetched
from juicecap.media.rules import MediaLimits
from juicecap.media.tasks.task import Task, Work
from juicecap.media.workers.turns import FOR_ENGINE, Need
from juicecap.sample import is_remote
from juicecap.vlm.base import Limits, ModelSettings, Part, Request
from juicecap.vlm.cluster.engine_status import EngineStatus
from juicecap.vlm.cluster.fleet import Fleet, Launch
from juicecap.vlm.cluster.ray_engine import RayEngine
from juicecap.vlm.cluster.seat import Seat, SiteLost
from juicecap.vlm.pipeline.lookup.digests import Digest
from juicecap.vlm.pipeline.lookup.legacy_engine import LegacyEngine
from juicecap.vlm.pipeline.resources.ref_counted_cache import Lease, RefCountedCache
from juicecap.vlm.pipeline.sites.site import Description

AT_ONCE = 16
"""Files in one call of an actor: a call costs the driver as much as some questions."""


class RaySite:
    """See the module's docstring (`Site`). All methods but `view` are called on the core's loop."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._fleet: Fleet | None = None
        self._began: asyncio.Task[None] | None = None
        self.files = RayFiles(self)
        self._first: dict[ModelSettings, Request] = {}
        self._described: dict[ModelSettings, asyncio.Task[Description]] = {}
        self._engines: dict[tuple[ModelSettings, Limits, int], RayEngine] = {}

    @property
    def width(self) -> int:
        """See `Site`."""
        return self._launch.shape.most

    @property
    def decoders(self) -> int:
        """Processes that decode, on all nodes."""
        ready = self._fleet.ready if self._fleet else []
        return max(1, sum(max(1, seat.report.cores // self._launch.shape.part) for seat in ready))

    def view(self) -> list[EngineStatus]:
        """The actors at this moment; may be called from any thread."""
        seats = list(self._fleet.seats) if self._fleet else []
        return [
            EngineStatus(node=seat.report.node, state=seat.state, in_flight=seat.in_progress, answered=seat.answered)
            for seat in seats
        ]

    def expect(self, request: Request) -> None:
        """See `Site`."""
        self._first.setdefault(request.model, request)

    def measurer(self, limits: Limits) -> RayMeasurer:
        """See `Site`."""
        return RayMeasurer(self, limits)

    async def brought(self, files: Iterable[Part], rules: MediaLimits, hold: Lease) -> list[Fetched]:
        """Nothing: nodes fetch what they need."""
        del files, rules, hold
        return []

    async def described(self, settings: ModelSettings, transport_choice: str = "") -> Description:
        """See `Site`: as the first actor describes it that can."""
        if settings not in self._described:
            self._described[settings] = asyncio.create_task(self._describe(settings, transport_choice))
        task = self._described[settings]
        try:
            return await asyncio.shield(task)
        except JuicecapError:
            self._described.pop(settings, None)
            raise

    async def legacy(self, settings: ModelSettings) -> LegacyEngine:
        """See `Site`: as a node describes it."""
        legacy: LegacyEngine = await self.anywhere("legacy", settings)
        return legacy

    async def opened(self, settings: ModelSettings, limits: Limits, size: int, shared: RefCountedCache) -> RayEngine:
        """See `Site`."""
        del shared
        key = settings, limits, size
        if key not in self._engines:
            engine = RayEngine(await self.fleet(), *key, await self.described(settings))
            self._engines[key] = engine
            try:
                await engine.begin()
            except BaseException:
                self._engines.pop(key).end()
                raise
        return self._engines[key]

    async def close_engines(self, but: Collection[ModelSettings] = ()) -> list[BaseException]:
        """See `Site`."""
        for key in [key for key in self._engines if key[0] not in but]:
            self._engines.pop(key).end()
        self._described = {settings: task for settings, task in self._described.items() if settings in but}
        if self._fleet:
            calls = (seat.call("close_engines", but) for seat in self._fleet.ready)
            found = await asyncio.gather(*calls, return_exceptions=True)
            return [error for error in found if isinstance(error, BaseException) and not isinstance(error, SiteLost)]
        return []

    async def close(self) -> list[BaseException]:
        """See `Site`."""
        if self._began:
            self._began.cancel()
        if self._fleet:
            await self._fleet.close()
        return []

    async def fleet(self) -> Fleet:
        """The actors, once as many as the recipe wants at least are ready.

        Raises:
            EnvironmentFailure: they are not, in time.
        """
        if self._fleet is None:
            self._fleet = Fleet(self._launch)
            self._began = asyncio.create_task(self._fleet.begin())
        assert self._began is not None
        await asyncio.shield(self._began)
        return self._fleet

    async def anywhere(self, method: str, *arguments: Any) -> Any:
        """What a method returns at the actor with the fewest such calls; if that is lost, at another one.

        Raises:
            JuicecapError: what the method raises.
        """
        fleet = await self.fleet()
        while True:
            await fleet.wait(lambda: bool(fleet.ready))
            seat = min(fleet.ready, key=lambda seat: (seat.jobs, seat.number))
            seat.jobs += 1
            try:
                return await seat.call(method, *arguments)
            except SiteLost:
                continue
            finally:
                seat.jobs -= 1

    async def _describe(self, settings: ModelSettings, transport_choice: str) -> Description:
        fleet = await self.fleet()
        said: set[str] = set()
        while True:
            await fleet.wait(lambda: bool(fleet.ready))
            seat: Seat = min(fleet.ready, key=lambda seat: seat.number)
            try:
                description: Description = await seat.call("describe", settings, transport_choice, self._first.get(settings))
            except SiteLost:
                continue
            except JuicecapError as error:
                if str(error) in said or len(fleet.ready) == 1:  # two nodes say the same: it is the recipe, and no node
                    raise
                said.add(str(error))
                fleet.refuse(seat, f"node {seat.report.node}: {error}")
            else:
                return description


class RayFiles:
    """Digests of media, taken on nodes (`FileReaders`)."""

    def __init__(self, site: RaySite) -> None:
        self._site = site
        self._digests = _Bundles(partial(site.anywhere, "digests"))
        self._readings = _Bundles(partial(site.anywhere, "readings"))
        self._unchanged = _Bundles(partial(site.anywhere, "unchanged"))

    async def states(self, paths: Collection[str], rules: MediaLimits) -> dict[str, FileState | None]:
        """See `FileReaders`."""
        local = [path for path in paths if not is_remote(path)]
        states: dict[str, FileState | None] = await self._site.anywhere("states", local, rules) if local else {}
        return {path: states.get(path) for path in paths}

    async def digest(self, file: Part, rules: MediaLimits, *, legacy: bool = False) -> Digest:
        """See `FileReaders`."""
        digest: Digest = await self._digests.ask((file, rules, legacy))
        return digest

    async def reading(self, path: str, rules: MediaLimits) -> str:
        """See `FileReaders`."""
        reading: str = await self._readings.ask((path, rules))
        return reading

    async def unchanged(self, file: Part, digest: Digest) -> bool:
        """See `FileReaders`; what is fetched is compared by those who fetch it."""
        return is_remote(file.value) or await self._unchanged.ask((file, digest))


class _Bundles:
    """Questions that come at the same moment, asked some at once."""

    def __init__(self, send: Callable[[list[Any]], Any]) -> None:
        self._send = send
        self._waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, question: Any) -> Any:
        """The answer to one question; an error in its place is raised."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._go)
        answer = loop.create_future()
        self._waiting.append((question, answer))
        return await answer

    def _go(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), AT_ONCE):
            task = asyncio.ensure_future(self._ask(waiting[start : start + AT_ONCE]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(self, bundle: Sequence[tuple[Any, asyncio.Future[Any]]]) -> None:
        try:
            found = await self._send([question for question, _ in bundle])
        except BaseException as error:
            found = [error] * len(bundle)
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            for (_, answer), each in zip(bundle, found, strict=True):
                if answer.done():
                    continue
                if isinstance(each, BaseException):
                    answer.set_exception(each)
                else:
                    answer.set_result(each)


class RayMeasurer:
    """Measurements, made on nodes (`Measurer`)."""

    def __init__(self, site: RaySite, limits: Limits) -> None:
        self._site, self._limits = site, limits

    @property
    def workers(self) -> int:
        """See `Measurer`."""
        return self._site.decoders

    async def measure(
        self, task: Task, work: Work, rules: MediaLimits, *, seconds: float = 0.0, target: str = "", need: Need = FOR_ENGINE
    ) -> Any:
        """See `Measurer`."""
        return await self._site.anywhere("measure", _plain(task), work, self._limits, rules, seconds, target, need)

    async def measure_several(
        self, task: Task, works: Sequence[Work], rules: MediaLimits, *, need: Need = FOR_ENGINE
    ) -> list[Any]:
        """See `Measurer`."""
        found: list[Any] = await self._site.anywhere("measure_several", _plain(task), list(works), self._limits, rules, need)
        return found


def _plain(task: Task) -> Task:
    """The task without what only the driver needs, which may be any function."""
    return replace(task, accepts=None)
