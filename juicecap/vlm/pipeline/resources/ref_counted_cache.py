"""A cache for work that several requests need at the same time: a clip that appears in many samples is decoded once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


@dataclass
class _Work:
    task: asyncio.Task[Any]
    holders: int = 0


class RefCountedCache:
    """Results by key, kept as long as a lease holds them."""

    def __init__(self) -> None:
        self._works: dict[Hashable, _Work] = {}

    def hold(self) -> Lease:
        """A context within which results stay."""
        return Lease(self._works)


class Lease:
    """Holds the results that it was asked for until the context ends."""

    def __init__(self, works: dict[Hashable, _Work]) -> None:
        self._works, self._held = works, set[Hashable]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Release the results; work that no other lease holds is cancelled."""
        for key in self._held:
            work = self._works[key]
            work.holders -= 1
            if not work.holders:
                work.task.cancel()
                del self._works[key]

    async def get(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`, which is started unless it is under way or done for another holder of `key`."""
        if key not in self._works:
            self._works[key] = _Work(asyncio.create_task(work()))
        if key not in self._held:
            self._held.add(key)
            self._works[key].holders += 1
        result: T = await asyncio.shield(self._works[key].task)
        return result
