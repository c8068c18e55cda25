"""Who asks which question, so that none is asked twice at the same time.

A question that is under way for one request is not asked for another one: that follows the first and gets its outcome. And
what was looked up ahead of time is looked up again if the same question was under way meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from juicecap.vlm.base import Outcome

Settle = Callable[[Outcome], None]


class Claims:
    """Questions on their way, by the journal's key and the number of candidates."""

    def __init__(self) -> None:
        self._followers: dict[tuple[str, int], list[Settle]] = {}
        self._ahead: Counter[str] = Counter()
        self._twice: set[str] = set()

    def meet(self, key: str) -> None:
        """Note that a request with this key is going to be looked up; `follow` or `settle` will end its way."""
        self._ahead[key] += 1
        if self._ahead[key] > 1:
            self._twice.add(key)

    def twice(self, key: str) -> bool:
        """Whether another request with this key was on its way since this one was met."""
        return key in self._twice

    def follow(self, key: str, candidates: int, settle: Settle) -> bool:
        """Get the outcome of the request that asks the same already, if one does."""
        followers = self._followers.get((key, candidates))
        if followers is None:
            return False
        followers.append(settle)
        self._leave(key)
        return True

    def lead(self, key: str, candidates: int) -> None:
        """Ask, for all who ask the same until `settle`."""
        self._followers[key, candidates] = []

    def settle(self, key: str, candidates: int, outcome: Outcome) -> None:
        """Tell the followers of a request what came of it."""
        for settle in self._followers.pop((key, candidates), ()):
            settle(outcome)
        self._leave(key)

    def _leave(self, key: str) -> None:
        self._ahead[key] -= 1
        if not self._ahead[key]:
            del self._ahead[key]
            self._twice.discard(key)
