"""Answering requests by a server that speaks OpenAI's chat interface.

A request becomes a body (`transports`), goes out as often as candidates and the server's capabilities require (`chat_client`),
each time with retries (`retry`, `breaker`) over one connection pool (`server`), and what comes back becomes an outcome
(`answers`, `error_mapping`). How the server takes videos is found out once, when it is opened (`detect_server`). Of several
servers the one with the least to do is asked (`server_pool`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import cast, get_args

from juicecap.errors import ModelError, SampleError
from juicecap.media.sizes import FrameSizes
from juicecap.vlm import outcomes
from juicecap.vlm.backends.openai import error_mapping, server_pool
from juicecap.vlm.backends.openai.answers import outcome
from juicecap.vlm.backends.openai.chat_client import ChatClient
from juicecap.vlm.backends.openai.detect_server import ServerInfo, detect_server
from juicecap.vlm.backends.openai.http.breaker import Breaker
from juicecap.vlm.backends.openai.http.retry import RetryingServer, RetryPolicy
from juicecap.vlm.backends.openai.http.server import CallFailed, Server
from juicecap.vlm.backends.openai.lessons import ServerLessons
from juicecap.vlm.backends.openai.options import ServerOptions, Transport, in_flight, options_of
from juicecap.vlm.backends.openai.server_pool import ServerPool
from juicecap.vlm.backends.openai.transports import compose
from juicecap.vlm.base import Backend, Capabilities, Failure, ModelSettings, Outcome, Prepared, Request, digest_of

ALL_REFUSED = 16
"""If this many requests have been refused in the same words and none was answered, the rest would be refused as well."""

MOST_REFUSALS = 1000
"""Refusals in different words that are remembered; beyond that they are not all for one reason."""


_Reached = Callable[[Transport | None], AbstractAsyncContextManager[tuple[ChatClient | ServerPool, Transport]]]
"""Reaches one or several servers, which take videos in the way that is given, or in the one that is found out."""


@asynccontextmanager
async def describe(
    settings: ModelSettings,
    transport_choice: str = "",
    *,
    first: Request | None = None,
    policy: RetryPolicy | None = None,
    breaker: Breaker | None = None,
) -> AsyncIterator[Backend]:
    """Decide how videos travel: as the recipe or `transport_choice` says it, or as the server takes them, which is asked.

    See `vlm.base.Describe`. `first` is like what is going to be asked: its parameters are tried too. `policy` and `breaker` are
    set by tests.
    """
    servers = options_of(settings)
    options = servers[0]
    policy = policy or RetryPolicy(max_attempts=options.max_attempts)
    pinned, lessons = ServerLessons.of_pin(transport_choice)
    detect = partial(detect_server, settings=settings, lessons=lessons, first=first)
    reached: _Reached = partial(_one_server, settings.model, options, policy, breaker, lessons, detect)
    if len(servers) > 1:
        reached = partial(server_pool.opened, settings.model, servers, policy, lessons, detect)
    connected = partial(_connected, settings, servers, lessons, reached)
    transport = options.transport or (cast("Transport", pinned) if pinned in get_args(Transport) else None)
    async with AsyncExitStack() as held:
        engine: OpenAIEngine | None = None
        if not transport_choice or transport is None:
            engine = await held.enter_async_context(connected(transport))
            transport = engine.transport
        facts = [settings.model, transport, options.extra_body]
        yield Backend(
            identity=digest_of(["openai", *facts]),
            facts={"transport": transport},
            legacy_identity=lambda: digest_of(["openai", options.base, *facts]),
            capabilities=Capabilities(sizes=FrameSizes(), takes_files=transport == "file", servers=len(servers)),
            open=lambda: nullcontext(engine) if engine else connected(transport),
            transport_choice=transport,
            lessons=lessons,
        )


@asynccontextmanager
async def _connected(
    settings: ModelSettings,
    servers: Sequence[ServerOptions],
    lessons: ServerLessons,
    reached: _Reached,
    transport: Transport | None,
) -> AsyncIterator[OpenAIEngine]:
    """Find out whether servers are there, know key and model, and how they take a video. On leaving, requests are given up."""
    async with reached(transport) as (client, found):
        engine = OpenAIEngine(settings, servers, client, lessons, found)
        try:
            yield engine
        finally:
            await engine.give_up()


@asynccontextmanager
async def _one_server(
    model: str,
    options: ServerOptions,
    policy: RetryPolicy,
    breaker: Breaker | None,
    lessons: ServerLessons,
    detect: Callable[..., Awaitable[ServerInfo]],
    transport: Transport | None,
) -> AsyncIterator[tuple[ChatClient, Transport]]:
    """The only server, and how it takes videos."""
    server = Server(options)
    try:
        info = await detect(server, policy, options=options, transport=transport)
        retrying = RetryingServer(server, policy, breaker or Breaker(options.display_url))
        yield ChatClient(retrying, model, options, lessons, extended=info.extended, limit=info.limit), info.transport
    finally:
        await server.close()


class OpenAIEngine:
    """One model of one or several servers (`vlm.base.Engine`)."""

    def __init__(
        self,
        settings: ModelSettings,
        servers: Sequence[ServerOptions],
        client: ChatClient | ServerPool,
        lessons: ServerLessons,
        transport: Transport,
    ) -> None:
        self._settings, self._options, self._client, self._lessons = settings, servers[0], client, lessons
        self._place = ", ".join(each.display_url for each in servers)
        self.transport = transport
        self.max_concurrent_calls = len(servers) * in_flight(transport)
        self._running: set[asyncio.Task[Outcome]] = set()
        self._refused: Counter[str] | None = Counter()
        """How often which refusal was heard; None once a request was answered, or too many were heard."""

    async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Answer each request, in order.

        Raises:
            EnvironmentFailure: the server is gone (all of them), or refuses key or model by now.
            ModelError: it refuses everything.
        """
        tasks = [asyncio.create_task(self._answer(prepared)) for prepared in batch]
        self._running.update(tasks)
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._running.difference_update(tasks)

    async def give_up(self) -> None:
        """Cancel the requests that are under way."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _answer(self, prepared: Prepared) -> Outcome:
        request, transport = prepared.request, self.transport
        if transport == "file" and (request.frames.start is not None or request.frames.end is not None):
            raise ModelError("with transport file the server chooses the frames, so start and end cannot be kept: leave them out")
        try:
            composed = await asyncio.to_thread(compose, prepared, transport)
            replies = await self._client.candidates(composed, prepared)
        except SampleError as error:
            return outcomes.failed(prepared, error)
        except CallFailed as failed:
            if ending := error_mapping.fatal(failed, self._options, self._settings.model):
                raise ending from None
            failure = error_mapping.failure_of(failed)
            self._count(failure)
            return Outcome(failure=failure, seed=prepared.seed)
        self._refused = None
        return replace(outcome(prepared, replies), unsent=self._lessons.unsent(request))

    def _count(self, failure: Failure) -> None:
        if self._refused is None or failure.code != "REQUEST_REFUSED":
            return
        if len(self._refused) > MOST_REFUSALS:
            self._refused = None
            return
        self._refused[failure.message] += 1
        if self._refused[failure.message] >= ALL_REFUSED:
            raise error_mapping.all_refused(self._place, ALL_REFUSED, failure)
