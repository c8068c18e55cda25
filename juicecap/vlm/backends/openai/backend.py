"""Answering requests by a server that speaks OpenAI's chat interface.

A request becomes a body (`transports`), goes out as often as candidates and the server's capabilities require (`chat_client`),
each time with retries (`retry`, `breaker`) over one connection pool (`server`), and what comes back becomes an outcome
(`answers`, `error_mapping`). How the server takes videos is found out once, when it is opened (`detect_server`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import cast, get_args

from juicecap.errors import ModelError, SampleError
from juicecap.media.sizes import FrameSizes
from juicecap.vlm import outcomes
from juicecap.vlm.backends.openai import error_mapping as refusals
from juicecap.vlm.backends.openai.answers import outcome
from juicecap.vlm.backends.openai.chat_client import ChatClient
from juicecap.vlm.backends.openai.detect_server import ServerInfo, detect_server
from juicecap.vlm.backends.openai.http.breaker import Breaker
from juicecap.vlm.backends.openai.http.retry import RetryingServer, RetryPolicy
from juicecap.vlm.backends.openai.http.server import CallFailed, Server
from juicecap.vlm.backends.openai.options import Transport, options_of
from juicecap.vlm.backends.openai.transports import compose
from juicecap.vlm.base import Capabilities, Failure, ModelSettings, Outcome, Prepared, digest_of

IN_FLIGHT, FILES_IN_FLIGHT = 32, 8
"""Requests at the server at once; files are held in memory whole."""

ALL_REFUSED = 16
"""If this many requests have been refused in the same words and none was answered, the rest would be refused as well."""

MOST_REFUSALS = 1000
"""Refusals in different words that are remembered; beyond that they are not all for one reason."""


class OpenAIBackend:
    """A `vlm.base.Backend` that sends requests to an OpenAI-compatible server. `patience` and `breaker` are set by tests."""

    def __init__(self, settings: ModelSettings, *, patience: RetryPolicy | None = None, breaker: Breaker | None = None) -> None:
        self._settings = settings
        self._options = options_of(settings)
        self._server: Server | None = None
        self._asking: ChatClient | None = None
        self._found: ServerInfo | None = None
        self._transport = self._options.transport
        self._patience = patience or RetryPolicy(max_attempts=self._options.max_attempts)
        self._breaker = breaker or Breaker(self._options.display_url)
        self._running: set[asyncio.Task[Outcome]] = set()
        self._refused: Counter[str] | None = Counter()
        """How often which refusal was heard; None once a request was answered, or too many were heard."""

    async def identify(self, transport_choice: str = "") -> str:
        """Decide how videos travel: as the recipe or `transport_choice` says it, or as the server takes them, which is asked."""
        if self._options.transport is None and transport_choice in get_args(Transport):
            self._transport = cast("Transport", transport_choice)
        if not transport_choice or self._transport is None:
            await self._find_out()
        return self._chosen

    async def open(self) -> None:
        """Find out whether the server is there, knows key and model, and how it takes a video."""
        if self._found is None:
            await self._find_out()

    async def _find_out(self) -> None:
        self._server = Server(self._options)
        persistent = RetryingServer(self._server, self._patience, self._breaker)
        try:
            self._found = found = await detect_server(
                self._server, self._patience, self._settings, self._options, self._transport
            )
        except BaseException:
            await self._server.close()
            raise
        self._transport = found.transport
        self._asking = ChatClient(persistent, self._settings.model, self._options, extended=found.extended, limit=found.limit)

    def identity(self) -> str:
        """Server, model, transport and what is added to each request, as a digest. The server's chat template is not known."""
        return digest_of(["openai", self._options.base, self._settings.model, self._chosen, self._options.extra_body])

    def capabilities(self) -> Capabilities:
        """Pictures of any size; many calls at once."""
        files = self._chosen == "file"
        return Capabilities(sizes=FrameSizes(), max_concurrent_calls=FILES_IN_FLIGHT if files else IN_FLIGHT, takes_files=files)

    async def generate(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """Answer each request, in order.

        Raises:
            EnvironmentFailure: the server is gone, or refuses key or model by now.
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

    async def close(self) -> None:
        """Give up what is under way and close all connections."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._server:
            await self._server.close()

    @property
    def _chosen(self) -> Transport:
        assert self._transport is not None, "identify() comes first"
        return self._transport

    async def _answer(self, prepared: Prepared) -> Outcome:
        request, transport = prepared.request, self._chosen
        assert self._asking is not None
        if transport == "file" and (request.frames.start is not None or request.frames.end is not None):
            raise ModelError("with transport file the server chooses the frames, so start and end cannot be kept: leave them out")
        try:
            composed = await asyncio.to_thread(compose, prepared, transport)
            replies = await self._asking.candidates(composed, request.sampling, prepared.seeds)
        except SampleError as error:
            return outcomes.failed(prepared, error)
        except CallFailed as failed:
            if ending := refusals.fatal(failed, self._options, self._settings.model):
                raise ending from None
            failure = refusals.failure_of(failed)
            self._count(failure)
            return Outcome(failure=failure, seed=prepared.seed)
        self._refused = None
        return outcome(prepared, replies)

    def _count(self, failure: Failure) -> None:
        if self._refused is None or failure.code != "REQUEST_REFUSED":
            return
        if len(self._refused) > MOST_REFUSALS:
            self._refused = None
            return
        self._refused[failure.message] += 1
        if self._refused[failure.message] >= ALL_REFUSED:
            raise refusals.all_refused(self._options, ALL_REFUSED, failure)
