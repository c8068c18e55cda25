"""One of several servers: what a call tells about it, whether it is in service, and when it may be asked.

It is in service from when it was met (`join`) until it is not there, refuses all requests, or fails `GIVEN_UP` times without an
answer in between. One that says that it has too much to do (429), or that fails again and again, rests for a while, as long as it
says itself or else longer each time; then it gets one request at a time until it answers.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from juicecap.errors import EnvironmentFailure
from juicecap.vlm.backends.openai.answers import Reply
from juicecap.vlm.backends.openai.chat_client import ChatClient
from juicecap.vlm.backends.openai.http.breaker import SILENCE, Breaker
from juicecap.vlm.backends.openai.http.retry import RetryPolicy
from juicecap.vlm.backends.openai.http.server import CallFailed, Server
from juicecap.vlm.backends.openai.options import ServerOptions


class PooledServer:
    """A server among others. `client` asks it, and is there once the server was met."""

    def __init__(self, options: ServerOptions, policy: RetryPolicy) -> None:
        self.options = options
        self.place = options.display_url
        self.server = Server(options)
        self.client: ChatClient | None = None
        self.asked_at = -math.inf
        """When it got its last request."""
        self.rests_until = -math.inf
        self.why = ""
        """Why it is out of service, as a sentence."""
        self._policy = policy
        self._breaker = Breaker(self.place)
        self._random = random.Random()  # noqa: S311  (its own, so that nobody else's draws change)
        self._requests: set[asyncio.Timeout] = set()
        """Those that it has; each is ended by its timeout once nobody is there to answer."""
        self._failures = 0
        """In a row; those of requests that were under way at the same time count once."""
        self._failed_at = -math.inf
        self._out_since: float | None = None

    @property
    def in_service(self) -> bool:
        """Whether it may be asked at all."""
        return self.client is not None and not self._breaker.gone()

    @property
    def busy(self) -> int:
        """How many requests it has."""
        return len(self._requests)

    def may_be_asked(self, in_flight: int) -> bool:
        """Whether it takes another request now, of `in_flight` at most."""
        return self.rests_until <= time.monotonic() and self.busy < (1 if self._failures else in_flight)

    def seconds_left(self) -> float:
        """Seconds until it has been out of service for so long that it counts as lost."""
        return math.inf if self._out_since is None else max(0.0, self._out_since + SILENCE - time.monotonic())

    def join(self, client: ChatClient) -> None:
        """It was met, and is in service from now on."""
        self.client = client
        self.rests_until = -math.inf
        self._answered()

    def leave(self, why: str, *, lost: bool = False) -> None:
        """It is out of service from now on; `lost` where time will not mend it."""
        self.why = why.removesuffix("; running again resumes")
        if lost:
            self._out_since = -math.inf
        elif self._out_since is None:
            self._out_since = time.monotonic()
        self._breaker.open(why)

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[None]:
        """A block in which it has one request more.

        Raises:
            EnvironmentFailure: nobody is there any more.
        """
        self.asked_at = time.monotonic()
        try:
            async with asyncio.timeout(None) as request:
                self._requests.add(request)
                try:
                    yield
                finally:
                    self._requests.discard(request)
        except TimeoutError:
            raise EnvironmentFailure(self.why) from None

    async def chat(self, body: dict[str, Any]) -> Reply:
        """Send a chat request (`Server.chat`), once.

        Raises:
            CallFailed: there is no usable answer.
            EnvironmentFailure: it has gone out of service.
        """
        self._breaker.check()
        began = time.monotonic()
        try:
            reply = await self.server.chat(body)
        except CallFailed as failed:
            if failed.transient:
                await self._failed(failed, began)
            else:
                self._answered()
            raise
        self._answered()
        return reply

    def _answered(self) -> None:
        self._breaker.answered()
        self._failures, self._out_since = 0, None

    async def _failed(self, failed: CallFailed, began: float) -> None:
        now = time.monotonic()
        self._rest(failed, began, now)
        if (failed.wait or 0.0) > self._policy.longest_retry_after:
            self.leave(f"{self.place} wants to be asked again no sooner than in {failed.wait:.0f} seconds ({failed})")
        if failed.status == HTTPStatus.TOO_MANY_REQUESTS or self._breaker.gone():
            return
        timed_out = failed.kind == "timeout"
        if (failed.silent or timed_out) and not await self.server.is_there():
            self.leave(f"{self.place} no longer answers: {failed}")
            for request in self._requests:
                request.reschedule(asyncio.get_running_loop().time())
            return
        self._breaker.given_up(str(failed), now - began if timed_out else 0.0)
        if self._breaker.gone():
            self.leave(f"{self.place} no longer answers: {failed}")

    def _rest(self, failed: CallFailed, began: float, now: float) -> None:
        """Ask it nothing for a while. One failure by itself may be the request's, so it needs two, or the server's word."""
        pause = failed.wait or 0.0
        if began >= self._failed_at:
            self._failures += 1
            self._failed_at = now
            if self._failures > 1 or failed.status == HTTPStatus.TOO_MANY_REQUESTS:
                pause = max(pause, self._random.uniform(0, self._policy.longest_pause(self._failures)))
        self.rests_until = max(self.rests_until, now + pause)
