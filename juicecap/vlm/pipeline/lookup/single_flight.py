"""The requests in progress, so that none is sent twice at the same time.

A request that is identical to one in progress is not sent: it joins the first one and gets its outcome. A request that was looked
up ahead of time is looked up again if an identical one was in progress meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from juicecap.vlm.base import Outcome
from juicecap.vlm.pipeline.lookup.keys import KeyedRequest

Settle = Callable[[Outcome], None]


class SingleFlight:
    """Requests in progress, by what identical ones have in common and the number of candidates."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], list[Settle]] = {}
        self._ahead: Counter[str] = Counter()
        self._twice: set[str] = set()

    def register(self, keyed: KeyedRequest) -> None:
        """Note that a request is going to be looked up; `join`, `settle` or `release` ends that."""
        self._ahead[keyed.flight] += 1
        if self._ahead[keyed.flight] > 1:
            self._twice.add(keyed.flight)

    def seen_again(self, keyed: KeyedRequest) -> bool:
        """Whether another request with this key was in progress since this one was registered."""
        return keyed.flight in self._twice

    def join(self, keyed: KeyedRequest, settle: Settle) -> bool:
        """Join an identical request in progress, whose outcome goes to `settle`; false if there is none."""
        waiting = self._waiting.get(_question(keyed))
        if waiting is None:
            return False
        waiting.append(settle)
        self.release(keyed)
        return True

    def start(self, keyed: KeyedRequest, settle: Settle) -> None:
        """Begin a request, on behalf of all identical ones until `settle`."""
        self._waiting[_question(keyed)] = [settle]

    def settle(self, keyed: KeyedRequest, outcome: Outcome) -> None:
        """Pass the outcome to the request that was sent and to those that joined it."""
        for settle in self._waiting.pop(_question(keyed)):
            settle(outcome)
        self.release(keyed)

    def release(self, keyed: KeyedRequest) -> None:
        """Forget a request that need not be sent."""
        self._ahead[keyed.flight] -= 1
        if not self._ahead[keyed.flight]:
            del self._ahead[keyed.flight]
            self._twice.discard(keyed.flight)


def _question(keyed: KeyedRequest) -> tuple[str, int]:
    return keyed.flight, keyed.request.candidates
