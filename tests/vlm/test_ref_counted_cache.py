"""Work that is done once for all who need it at the same time."""

from __future__ import annotations

import asyncio

import pytest

from juicecap.vlm.pipeline.resources.ref_counted_cache import RefCountedCache


class Counting:
    """Makes `work(key)` coroutines that count how often they ran, and wait for `go`."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.go = asyncio.Event()

    def work(self, key: str):
        async def run() -> object:
            self.started.append(key)
            await self.go.wait()
            if key == "bad":
                raise ValueError("bad")
            return object()

        return run


def test_done_once_and_kept_as_long_as_it_is_held():
    async def work():
        shared, counting = RefCountedCache(), Counting()
        with shared.hold() as first:
            with shared.hold() as second:
                asking = asyncio.gather(*(hold.get("k", counting.work("k")) for hold in (first, second, first)))
                await asyncio.sleep(0)
                counting.go.set()
                results = await asking
            assert results[0] is results[1] is results[2]
            assert await first.get("k", counting.work("k")) is results[0]
            assert counting.started == ["k"]
        with shared.hold() as third:
            assert await third.get("k", counting.work("k")) is not results[0]
        assert counting.started == ["k", "k"]

    asyncio.run(work())


def test_a_failure_is_everybodys():
    async def work():
        shared, counting = RefCountedCache(), Counting()
        counting.go.set()
        with shared.hold() as hold:
            for _ in range(2):
                with pytest.raises(ValueError, match="bad"):
                    await hold.get("bad", counting.work("bad"))
        assert counting.started == ["bad"]

    asyncio.run(work())


def test_what_nobody_waits_for_any_more_is_given_up():
    async def work():
        shared, counting = RefCountedCache(), Counting()
        with shared.hold() as hold:
            asking = asyncio.ensure_future(hold.get("k", counting.work("k")))
            await asyncio.sleep(0)
            asking.cancel()
        await asyncio.sleep(0.01)
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        counting.go.set()
        with shared.hold() as hold:
            assert await hold.get("k", counting.work("k"))

    asyncio.run(work())
