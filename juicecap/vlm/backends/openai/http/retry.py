"""A request is tried again when that may help: after 408, 409, 429, 5xx, broken connections, timeouts and unreadable answers.

The wait before retry r (1, 2, …) is drawn evenly from 0 to `first_wait` times 2 to the r - 1 ("full jitter"), and is at most
`longest_wait`.
Where the server says how long to wait (`Retry-After`), every request to it waits that long, since the others would be turned away
as well. Any other refusal is final.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any

from loguru import logger

from juicecap.vlm.backends.openai.answers import Reply
from juicecap.vlm.backends.openai.http.breaker import Breaker
from juicecap.vlm.backends.openai.http.server import CallFailed, Server
from juicecap.vlm.backends.openai.options import MAX_ATTEMPTS


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how long, in seconds."""

    max_attempts: int = MAX_ATTEMPTS
    first_wait: float = 2.0
    longest_wait: float = 60.0
    longest_retry_after: float = 600.0
    """A server that asks for a longer pause than this is not waited for."""

    def longest_pause(self, retry: int) -> float:
        """Seconds that the wait before this retry, counted from 1, takes at most."""
        return min(self.longest_wait, self.first_wait * 2.0 ** max(0, retry - 1))


class RetryingServer:
    """A server that is asked again."""

    def __init__(self, server: Server, patience: RetryPolicy, breaker: Breaker) -> None:
        self._server = server
        self._patience = patience
        self._breaker = breaker
        self._random = random.Random()  # noqa: S311  (its own, so that nobody else's draws change)
        self._not_before = 0.0

    async def chat(self, body: dict[str, Any]) -> Reply:
        """Send a chat request (`Server.chat`), again after a failure that may pass, and return the reply.

        Raises:
            CallFailed: the request is refused, or all attempts failed (`transient`).
            EnvironmentFailure: the server is gone.
        """
        async with self._breaker.passage() as probe:
            counted = False
            for attempt in range(1 if probe else self._patience.max_attempts):
                await self._wait(attempt)
                began = time.monotonic()
                try:
                    answer = await self._server.chat(body)
                except CallFailed as failed:
                    last = failed
                    last.attempts = attempt + 1
                    if not failed.transient:
                        self._breaker.answered()
                        raise
                    logger.debug("{}: attempt {}: {}", self._breaker.place, attempt + 1, failed)
                    waited = time.monotonic() - began if failed.kind == "timeout" else 0.0
                    counted = counted or self._breaker.late(str(failed), waited)
                    await self._tell_breaker(failed, waited)
                    if failed.wait is not None and failed.wait > self._patience.longest_retry_after:
                        break
                    self._not_before = max(self._not_before, time.monotonic() + (failed.wait or 0.0))
                else:
                    self._breaker.answered()
                    return answer
            if not counted:
                self._breaker.given_up(str(last), waited)
            self._breaker.check()
            raise last

    async def _tell_breaker(self, failed: CallFailed, waited: float) -> None:
        self._breaker.check()
        if failed.silent:
            self._breaker.record_unreachable(str(failed))
        elif failed.kind == "timeout" and not await self._server.is_there():  # else it may just be slow
            self._breaker.record_unreachable(str(failed), waited)
        else:
            self._breaker.record_reachable()
        self._breaker.check()

    async def _wait(self, attempt: int) -> None:
        """Wait before attempt number `attempt`, counted from 0."""
        most = self._patience.longest_pause(attempt)
        if attempt:
            await asyncio.sleep(self._random.uniform(0, most))
        while (asked := self._not_before - time.monotonic()) > 0:  # another request may be told to wait longer meanwhile
            await asyncio.sleep(asked + self._random.uniform(0, most))
        if attempt:
            self._breaker.check()
