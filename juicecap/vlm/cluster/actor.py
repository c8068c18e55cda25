"""A site on a node, as an actor: plain data comes in (paths, questions, settings), and outcomes go out; never pixels.

Nothing here imports ray. Each method answers with a `Reply`, since errors that Ray carries lose their type. Keys of servers come
by `configure`, into this process's environment, and are neither written nor logged.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Concatenate, ParamSpec

from loguru import logger

from juicecap.errors import JuicecapError, MediaError
from juicecap.file_state import FileState
from juicecap.media.access.picture_folder import medium_state
from juicecap.media.access.remote import rules_of
from juicecap.media.rules import MediaLimits
from juicecap.media.tasks.task import Task, Work
from juicecap.media.workers.pool import usable_cores
from juicecap.media.workers.turns import Need
from juicecap.secrecy import keep
from juicecap.vlm.base import Limits, ModelSettings, Part, Request
from juicecap.vlm.cluster.arrival import served_here
from juicecap.vlm.cluster.node_report import NodeReport, Wanted, report_of
from juicecap.vlm.lessons import Lessons
from juicecap.vlm.pipeline.lookup.digests import MOST_REMEMBERED, Digest, DigestThreads
from juicecap.vlm.pipeline.lookup.legacy_engine import LegacyEngine
from juicecap.vlm.pipeline.resources.ref_counted_cache import RefCountedCache
from juicecap.vlm.pipeline.sites.local_engine import LocalEngine
from juicecap.vlm.pipeline.sites.local_site import LocalSite
from juicecap.vlm.pipeline.sites.site import Description, Served, SiteRequest

P = ParamSpec("P")

MOST_NOTICES = 100
"""Warnings that wait to be taken along by a reply."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a method returns: a value or an error, and warnings that were logged here since the last one."""

    value: Any = None
    error: JuicecapError | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BatchReply:
    """What became of a batch. `lessons` are those of the engine, if it has learnt since the last reply."""

    served: list[Served]
    lessons: Lessons | None = None


def replying(
    method: Callable[Concatenate[SiteActor, P], Awaitable[Any]],
) -> Callable[Concatenate[SiteActor, P], Coroutine[Any, Any, Reply]]:
    """A method whose value or expected error travels as a `Reply`; bugs stay exceptions."""

    @functools.wraps(method)
    async def replied(self: SiteActor, *args: P.args, **named: P.kwargs) -> Reply:
        try:
            value, error = await method(self, *args, **named), None
        except JuicecapError as caught:
            value, error = None, caught.with_traceback(None)
            error.__cause__ = error.__context__ = None  # a foreign library's exception, which the driver may not have
        return Reply(value=value, error=error, notices=self.taken_notices())

    return replied  # type: ignore[return-value]  # `wraps` hides that it is a method


class NodeFiles(DigestThreads):
    """Files of this node. A file that another node digested may lie here as another copy, which is digested once."""

    def __init__(self) -> None:
        super().__init__()
        self._copies: dict[tuple[str, FileState], str] = {}

    async def unchanged(self, file: Part, digest: Digest) -> bool:
        """Whether the file is in the state in which it was digested, or a copy of equal content."""
        if await super().unchanged(file, digest):
            return True
        state = await asyncio.to_thread(medium_state, file.value)
        if state is None:
            return False
        if (file.value, state) not in self._copies:
            try:
                self._copies[file.value, state] = (await self.digest(file, rules_of(file.value, MediaLimits()))).digest
            except MediaError:
                return False
            if len(self._copies) > MOST_REMEMBERED:
                del self._copies[next(iter(self._copies))]
        return self._copies.get((file.value, state)) == digest.digest


class SiteActor:
    """See the module's docstring. It is on the node of this id and name, which `part` of them share."""

    def __init__(self, node_id: str, node: str, part: int) -> None:
        self._node_id, self._node, self._part = node_id, node, part
        self._site = LocalSite(NodeFiles(), part=part)
        self._engines: dict[tuple[ModelSettings, Limits, int], LocalEngine] = {}
        self._taught: dict[ModelSettings, str] = {}
        self._notices: list[str] = []
        logger.remove()
        logger.add(self._note, level="WARNING", format="{message}")

    @replying
    async def hello(self, wanted: Wanted) -> tuple[str, NodeReport]:
        """The node's id, and what it sees and has."""
        return self._node_id, await asyncio.to_thread(report_of, self._node, wanted)

    @replying
    async def configure(self, secrets: Mapping[str, str]) -> None:
        """Take over environment variables that hold keys."""
        for name, key in secrets.items():
            keep(key.strip(), name)
        os.environ.update(secrets)

    async def ping(self) -> int:
        """Say that this process is alive, by its number."""
        return os.getpid()

    @replying
    async def describe(self, settings: ModelSettings, transport_choice: str, first: Request | None) -> Description:
        """The engine, as this node describes it."""
        if first:
            self._site.expect(first)
        return await self._site.described(settings, transport_choice)

    @replying
    async def legacy(self, settings: ModelSettings) -> LegacyEngine:
        """See `Site`."""
        return await self._site.legacy(settings)

    @replying
    async def open(self, settings: ModelSettings, limits: Limits, size: int) -> int:
        """Open the engine; returns how many batches it takes at once."""
        return (await self._engine(settings, limits, size)).most

    @replying
    async def serve(self, settings: ModelSettings, limits: Limits, size: int, batch: Sequence[SiteRequest]) -> BatchReply:
        """Answer a batch, as it was cut."""
        engine = await self._engine(settings, limits, size)
        with RefCountedCache().hold() as hold:
            served = await served_here(self._site, engine, batch, limits.media, hold)
        return BatchReply(served=served, lessons=await self._lessons(settings))

    @replying
    async def states(self, paths: Collection[str], rules: MediaLimits) -> dict[str, FileState | None]:
        """See `FileReaders`."""
        return await self._site.files.states(paths, rules)

    @replying
    async def digests(self, files: Sequence[tuple[Part, MediaLimits, bool]]) -> list[Digest | JuicecapError]:
        """The digests of files, or the error in place of one that cannot be read."""
        return await asyncio.gather(*(self._digest(file, rules, legacy=legacy) for file, rules, legacy in files))

    @replying
    async def readings(self, files: Sequence[tuple[str, MediaLimits]]) -> list[str | JuicecapError]:
        """See `FileReaders.reading`; an error in place of a file that cannot be read."""
        return await asyncio.gather(*(self._reading(path, rules) for path, rules in files))

    @replying
    async def unchanged(self, files: Sequence[tuple[Part, Digest]]) -> list[bool]:
        """See `FileReaders`."""
        return await asyncio.gather(*(self._site.files.unchanged(file, digest) for file, digest in files))

    @replying
    async def measure(
        self, task: Task, work: Work, limits: Limits, rules: MediaLimits, seconds: float, target: str, need: Need
    ) -> Any:
        """See `Measurer`."""
        pool = self._site.measurer(self._limits(limits))
        with RefCountedCache().hold() as hold:
            brought = await self._site.brought([Part("video", work.path)], limits.media, hold)
            if not brought:
                return await pool.measure(task, work, rules, seconds=seconds, target=target, need=need)
            here = replace(work, path=brought[0].path)
            return await pool.measure(task, here, rules_of(here.path, limits.media), seconds=seconds, target=target, need=need)

    @replying
    async def measure_several(self, task: Task, works: Sequence[Work], limits: Limits, rules: MediaLimits, need: Need) -> Any:
        """See `Measurer`."""
        return await self._site.measurer(self._limits(limits)).measure_several(task, works, rules, need=need)

    @replying
    async def close_engines(self, but: Collection[ModelSettings]) -> None:
        """Close engines that are not needed any more."""
        self._engines = {key: engine for key, engine in self._engines.items() if key[0] in but}
        for error in await self._site.close_engines(but):
            raise error

    @replying
    async def close(self) -> None:
        """Close engines and processes."""
        for error in await self._site.close():
            raise error

    def taken_notices(self) -> tuple[str, ...]:
        """The warnings since this was asked last."""
        notices, self._notices = self._notices, []
        return tuple(notices)

    def _note(self, message: str) -> None:
        if len(self._notices) < MOST_NOTICES:
            self._notices.append(message.rstrip("\n"))

    def _limits(self, limits: Limits) -> Limits:
        """Limits within which several sites of one node do not take its cores several times."""
        return limits if limits.workers else replace(limits, workers=max(1, usable_cores() // self._part))

    async def _engine(self, settings: ModelSettings, limits: Limits, size: int) -> LocalEngine:
        key = settings, limits, size
        if key not in self._engines:
            opened = await self._site.opened(settings, self._limits(limits), size, RefCountedCache())
            self._engines.setdefault(key, opened)
        return self._engines[key]

    async def _lessons(self, settings: ModelSettings) -> Lessons | None:
        description = await self._site.described(settings)
        word = description.lessons.pinned(description.transport_choice)
        if word == self._taught.get(settings, description.transport_choice):
            return None
        self._taught[settings] = word
        return description.lessons

    async def _digest(self, file: Part, rules: MediaLimits, *, legacy: bool) -> Digest | JuicecapError:
        with RefCountedCache().hold() as hold:
            try:
                brought = await self._site.brought([file], rules, hold)
                here = file.at({each.url: each.path for each in brought})
                return await self._site.files.digest(here, rules_of(here.value, rules), legacy=legacy)
            except JuicecapError as error:
                return error.with_traceback(None)

    async def _reading(self, path: str, rules: MediaLimits) -> str | JuicecapError:
        try:
            return await self._site.files.reading(path, rules)
        except JuicecapError as error:
            return error.with_traceback(None)
