"""Several servers of one model: a request goes to the one that has the least to do, and to another one if that fails.

All have to be alike, since an answer must not depend on the server that gives it: the model, how it takes videos, how many tokens
fit. A request is tried at each server before it waits, and then from the beginning, in as many rounds as it has attempts. So a
server that dies costs nothing but the requests that it had, which the others take. It is looked for again, with growing pauses
between, and must then be found alike as at the start.

The run ends when all have been out of service for a minute; or, as with one server, when `GIVEN_UP` requests in a row were given
up after all their attempts.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from loguru import logger

from juicecap.errors import EnvironmentFailure, JuicecapError
from juicecap.notice import say_once
from juicecap.vlm.backends.openai import error_mapping
from juicecap.vlm.backends.openai.alike import check_alike, check_takes_as_much
from juicecap.vlm.backends.openai.answers import Reply
from juicecap.vlm.backends.openai.chat_client import ChatClient
from juicecap.vlm.backends.openai.detect_server import ServerAbsent, ServerInfo
from juicecap.vlm.backends.openai.http.breaker import Breaker
from juicecap.vlm.backends.openai.http.retry import RetryPolicy
from juicecap.vlm.backends.openai.http.server import CallFailed
from juicecap.vlm.backends.openai.lessons import ServerLessons
from juicecap.vlm.backends.openai.options import ServerOptions, Transport, in_flight
from juicecap.vlm.backends.openai.pooled_server import PooledServer
from juicecap.vlm.base import Prepared

Json = dict[str, Any]
Detect = Callable[..., Awaitable[ServerInfo]]
"""`detect_server` with what is the same for all servers."""


@asynccontextmanager
async def opened(
    model: str,
    options: Sequence[ServerOptions],
    policy: RetryPolicy,
    lessons: ServerLessons,
    detect: Detect,
    transport: Transport | None,
) -> AsyncIterator[tuple[ServerPool, Transport]]:
    """The servers, met as far as they are there, and how they take videos; on leaving, nobody is looked for any more.

    Raises:
        EnvironmentFailure: none of them is there, or one refuses the key.
        ModelError: one has no such model, takes no video, or is unlike another.
    """
    pool = ServerPool(model, [PooledServer(each, policy) for each in options], policy, lessons, detect)
    try:
        yield pool, await pool.open(transport)
    finally:
        await pool.close()


@dataclass
class _Tries:
    """What became of one request so far."""

    rounds: int
    """In which it is tried at each server."""
    ended: int = 0
    """Rounds that have ended."""
    attempts: int = 0
    asked: set[PooledServer] = field(default_factory=set)
    """The servers of this round."""
    last: CallFailed | None = None
    waited: float = 0.0
    """Seconds for which the last attempt waited in vain."""

    def count(self, server: PooledServer, failed: CallFailed, seconds: float) -> None:
        """An attempt failed after so many seconds."""
        self.attempts += 1
        self.asked.add(server)
        self.last, self.waited = failed, seconds if failed.kind == "timeout" else 0.0
        failed.attempts = self.attempts


class ServerPool:
    """Asks one model of several servers, as `ChatClient` asks one."""

    def __init__(
        self, model: str, servers: Sequence[PooledServer], policy: RetryPolicy, lessons: ServerLessons, detect: Detect
    ) -> None:
        self._model, self._servers, self._policy, self._lessons = model, servers, policy, lessons
        self._detect = detect
        self._pattern: tuple[str, ServerInfo] | None = None
        """The server that was met first, which the others have to be like."""
        self._breaker = Breaker(", ".join(server.place for server in servers))
        self._returning: dict[PooledServer, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._random = random.Random()  # noqa: S311  (its own, so that nobody else's draws change)

    async def open(self, transport: Transport | None) -> Transport:
        """Meet all servers; see `opened`."""
        meetings = (self._detect(each.server, self._policy, options=each.options, transport=transport) for each in self._servers)
        met = await asyncio.gather(*meetings, return_exceptions=True)
        for error in met:
            if isinstance(error, BaseException) and not isinstance(error, ServerAbsent):
                raise error
        for server, info in zip(self._servers, met, strict=True):
            if isinstance(info, ServerInfo):
                self._join(server, info)
            else:
                server.leave(str(info))
        if self._pattern is None:
            raise self._all_lost()
        for server in self._servers:
            self._look_for(server)
        return self._pattern[1].transport

    async def close(self) -> None:
        """Look for nobody any more, and close all connections."""
        looking = list(self._returning.values())
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)
        await asyncio.gather(*(server.server.close() for server in self._servers))

    async def candidates(self, composed: Json, prepared: Prepared) -> list[Reply]:
        """See `ChatClient.candidates`.

        Raises:
            CallFailed: the request is refused, or failed at each server in each round.
            EnvironmentFailure: all servers are gone.
            ModelError: one does not take what the recipe sets by name.
        """
        assert self._pattern is not None
        most = prepared.in_flight or in_flight(self._pattern[1].transport)
        async with self._breaker.passage() as probe:
            tries = _Tries(1 if probe else self._policy.max_attempts)
            while server := await self._next(tries, most):
                began = time.monotonic()
                try:
                    return await self._ask(server, composed, prepared)
                except EnvironmentFailure as error:  # it has gone out of service, for another request
                    logger.debug("{}", error)
                except CallFailed as failed:
                    logger.debug("{}: {}", server.place, failed)
                    tries.count(server, failed, time.monotonic() - began)
                    self._judge(server, failed)
                if not server.in_service:
                    tries.asked.discard(server)  # once it is back it is as good as another
                    self._look_for(server)
            assert tries.last is not None
            self._breaker.given_up(str(tries.last), tries.waited)
            self._breaker.check()
            raise tries.last

    async def _next(self, tries: _Tries, in_flight: int) -> PooledServer | None:
        """The server that is to be tried next; None if there were enough of them."""
        while tries.attempts < tries.rounds * len(self._servers):
            if server := await self._free(tries.asked, in_flight):
                return server
            tries.asked.clear()
            tries.ended += 1
            if tries.ended == tries.rounds:
                break
            await asyncio.sleep(self._random.uniform(0, self._policy.longest_pause(tries.ended)))
            self._breaker.check()
        return None

    async def _ask(self, server: PooledServer, composed: Json, prepared: Prepared) -> list[Reply]:
        assert server.client is not None
        try:
            async with server.asked():
                replies = await server.client.candidates(composed, prepared)
        finally:
            self._tell()
        self._breaker.answered()
        return replies

    def _judge(self, server: PooledServer, failed: CallFailed) -> None:
        """Do nothing if another server may answer what this one did not.

        Raises:
            CallFailed: the request is refused.
        """
        if failed.transient:
            return
        ending = error_mapping.fatal(failed, server.options, self._model)
        if ending is None:
            self._breaker.answered()
            raise failed
        server.leave(str(ending), lost=True)

    async def _free(self, asked: Collection[PooledServer], in_flight: int) -> PooledServer | None:
        """The server that has the least to do; None if all that are in service were `asked`.

        Raises:
            EnvironmentFailure: all servers are gone.
        """
        while True:
            serving = [server for server in self._servers if server.in_service]
            left = [server for server in serving if server not in asked]
            if serving and not left:
                return None
            if ready := [server for server in left if server.may_be_asked(in_flight)]:
                return min(ready, key=lambda server: (server.busy, server.asked_at))
            await self._wait(left)

    async def _wait(self, left: Collection[PooledServer]) -> None:
        """Until something has changed, or the first of these has rested; if there are none, until all servers count as lost."""
        if left:
            now = time.monotonic()
            seconds = min((server.rests_until - now for server in left if server.rests_until > now), default=None)
        elif not (seconds := max(server.seconds_left() for server in self._servers)):
            raise self._all_lost()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _all_lost(self) -> EnvironmentFailure:
        told = "; ".join(server.why for server in self._servers)
        return EnvironmentFailure(f"none of the {len(self._servers)} servers is there: {told}; running again resumes")

    def _join(self, server: PooledServer, info: ServerInfo) -> None:
        if self._pattern:
            check_alike(self._model, self._pattern, (server.place, info))
        else:
            self._pattern = server.place, info
        server.join(ChatClient(server, self._model, server.options, self._lessons, extended=info.extended, limit=info.limit))
        self._tell()

    def _look_for(self, server: PooledServer) -> None:
        """Have a server that is out of service looked for, unless it is."""
        if server.in_service or server in self._returning:
            return
        logger.warning("{}: the other servers are asked, and this one again once it answers", server.why)
        task = self._returning[server] = asyncio.ensure_future(self._bring_back(server))
        task.add_done_callback(partial(self._looked_for, server))

    async def _bring_back(self, server: PooledServer) -> None:
        assert self._pattern is not None
        policy, transport = replace(self._policy, max_attempts=1), self._pattern[1].transport
        for retry in itertools.count(1):
            longest = self._policy.longest_pause(retry)
            await asyncio.sleep(self._random.uniform(longest / 2, longest))
            if server.in_service:  # it answered what it had all the while
                return
            lessons = self._lessons.copy()
            try:
                info = await self._detect(server.server, policy, options=server.options, transport=transport, lessons=lessons)
                check_takes_as_much(server.place, lessons, self._lessons)
                self._join(server, info)
            except JuicecapError as error:
                if not isinstance(error, ServerAbsent):
                    say_once(f"{error}: until that is mended the server is left out")
                server.leave(str(error))
            else:
                logger.info("{} answers again", server.place)
                return

    def _looked_for(self, server: PooledServer, _: object) -> None:
        self._returning.pop(server)
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
