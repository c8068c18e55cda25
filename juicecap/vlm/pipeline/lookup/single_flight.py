"""Who asks which question, so that none is asked twice at the same time.

A question that is under way for one request is not asked for another one: that follows the first and gets its outcome. And
what was looked up ahead of time is looked up again if the same question was under way meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from juicecap.vlm.base import Outcome
from juicecap.vlm.pipeline.lookup.keys import KeyedRequest

Settle = Callable[[Outcome], None]


class SingleFlight:
    """Questions on their way, by the journal's key and the number of candidates."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], list[Settle]] = {}
        self._ahead: Counter[str] = Counter()
        self._twice: set[str] = set()

    def register(self, keyed: KeyedRequest) -> None:
        """Note that a request is going to be looked up; `follow`, `settle` or `leave` will end its way."""
        self._ahead[keyed.entry] += 1
        if self._ahead[keyed.entry] > 1:
            self._twice.add(keyed.entry)

    def seen_again(self, keyed: KeyedRequest) -> bool:
        """Whether another request with this key was on its way since this one was met."""
        return keyed.entry in self._twice

    def join(self, keyed: KeyedRequest, settle: Settle) -> bool:
        """Get the outcome of the request that asks the same already, if one does."""
        waiting = self._waiting.get(_question(keyed))
        if waiting is None:
            return False
        waiting.append(settle)
        self.release(keyed)
        return True

    def start(self, keyed: KeyedRequest, settle: Settle) -> None:
        """Ask, for all who ask the same until `settle`."""
        self._waiting[_question(keyed)] = [settle]

    def settle(self, keyed: KeyedRequest, outcome: Outcome) -> None:
        """Tell the request that asked what came of it, and those that followed it."""
        for settle in self._waiting.pop(_question(keyed)):
            settle(outcome)
        self.release(keyed)

    def release(self, keyed: KeyedRequest) -> None:
        """Forget a request that need not ask."""
        self._ahead[keyed.entry] -= 1
        if not self._ahead[keyed.entry]:
            del self._ahead[keyed.entry]
            self._twice.discard(keyed.entry)


def _question(keyed: KeyedRequest) -> tuple[str, int]:
    return keyed.entry, keyed.request.candidates
