"""A server that is gone stops the run, instead of turning a million samples into rejections.

The breaker opens when
- `GIVEN_UP` requests in a row were given up after all of their attempts, with no proper answer in between, or
- nobody has answered for `SILENCE` seconds although it was tried all the while.

From then on every request fails at once with `EnvironmentFailure`; except that one at a time goes out as a probe, with a single
attempt. The others wait for its result, and if it is answered, all is well again.
"""

from __future__ import annotations

import asyncio
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

    def somebody_there(self) -> None:
        """An attempt failed, but not for lack of a server."""
        self._silent_since = None

    def nobody_there(self, why: str) -> None:
        """An attempt failed because there was no server to connect to."""
        now = self._clock()
        if self._silent_since is None or now - self._last_tried > SILENCE:  # nobody asked for a while
            self._silent_since = now
        self._last_tried = now
        if now - self._silent_since > SILENCE:
            self._gone = why

    def given_up(self, why: str) -> None:
        """All attempts at one request failed."""
        self._given_up += 1
        if self._given_up >= GIVEN_UP:
            self._gone = why
