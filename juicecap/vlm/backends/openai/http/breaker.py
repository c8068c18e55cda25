"""A server that is gone stops the run, instead of turning a million samples into rejections.

The breaker opens when
- `GIVEN_UP` requests in a row were given up after all of their attempts, with no proper answer in between; one that has waited
  in vain for more than `SILENCE` seconds counts already then (an engine that hangs behind its server), or
- nobody was there for `SILENCE` seconds although it was tried all the while (a machine that is gone).

A request that has waited in vain says nothing if another one was answered meanwhile: then the server is slow.

From then on every request fails at once with `EnvironmentFailure`; except that one at a time goes out as a probe, with a single
attempt. The others wait for its result, and if it is answered, all is well again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from juicecap.errors import EnvironmentFailure

GIVEN_UP = 8
SILENCE = 60.0


class Breaker:
    """Counts what goes wrong with one server."""

    def __init__(self, place: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.place = place
        self._clock = clock
        self._given_up = 0
        self._last_answer = -math.inf
        self._silent_since: float | None = None
        self._last_tried = 0.0
        self._gone = ""
        """Why the server counts as gone; empty while it does not."""
        self._probe: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[bool]:
        """Let a request through; yields whether it is a probe.

        Raises:
            EnvironmentFailure: the server is gone, as far as the last probe knows.
        """
        if self._gone and self._probe is not None:
            await asyncio.shield(self._probe)
            self.check()
        if not self._gone:
            yield False
            return
        self._probe = probe = asyncio.get_running_loop().create_future()
        try:
            yield True
        finally:
            self._probe = None
            probe.set_result(None)

    def gone(self) -> str:
        """Why the server counts as gone; empty while it does not."""
        return self._gone

    def open(self, why: str) -> None:
        """The server counts as gone from now on."""
        self._gone = why

    def check(self) -> None:
        """Do nothing if the server is there.

        Raises:
            EnvironmentFailure: it is gone.
        """
        if self._gone:
            raise EnvironmentFailure(f"{self.place} no longer answers: {self._gone}; running again resumes")

    def answered(self) -> None:
        """A request had a proper answer, be it a refusal."""
        self._given_up, self._silent_since, self._gone = 0, None, ""
        self._last_answer = self._clock()

    def record_reachable(self) -> None:
        """An attempt failed, but not for lack of a server."""
        self._silent_since = None

    def record_unreachable(self, why: str, waited: float = 0.0) -> None:
        """An attempt failed because there was no server to connect to, or none that said a word for so many seconds."""
        now = self._clock()
        if self._busy(now, waited):
            return
        began = now - waited
        if self._silent_since is None or began - self._last_tried > SILENCE:  # nobody asked for a while
            self._silent_since = began
        self._last_tried = now
        if now - self._silent_since > SILENCE:
            self._gone = why

    def late(self, why: str, waited: float) -> bool:
        """An attempt had no answer for so many seconds; returns whether its request counts as given up from now on."""
        return waited > SILENCE and self.given_up(why, waited)

    def given_up(self, why: str, waited: float = 0.0) -> bool:
        """All attempts at one request failed, the last one without an answer for so many seconds; returns whether that counts."""
        if self._busy(self._clock(), waited):
            return False
        self._given_up += 1
        if self._given_up >= GIVEN_UP:
            self._gone = why
        return True

    def _busy(self, now: float, waited: float) -> bool:
        """Whether another request was answered in the last so many seconds."""
        return self._last_answer > now - waited
