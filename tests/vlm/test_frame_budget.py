"""The bound on bytes of frames."""

from __future__ import annotations

import asyncio
import os
import random
from types import SimpleNamespace

import pytest

from juicecap.media.sizes import FrameSizes
from juicecap.vlm.base import Capabilities, Limits
from juicecap.vlm.pipeline.dispatcher import Dispatcher
from juicecap.vlm.pipeline.lookup.single_flight import SingleFlight
from juicecap.vlm.pipeline.resources import frame_budget
from juicecap.vlm.pipeline.resources.frame_budget import DECAY, PART_OF_MACHINE, FrameBudget, machine_memory
from juicecap.vlm.pipeline.sites.local_engine import LocalEngine
from juicecap.vlm.pipeline.tasks import Tasks


async def soon(work) -> bool:
    """Whether something is ready without anybody letting go of memory."""
    task = asyncio.ensure_future(work)
    for _ in range(3):
        await asyncio.sleep(0)
    if not task.done():
        task.cancel()
    return task.done() and not task.cancelled()


def test_no_more_than_the_limit_once_sizes_are_known():
    async def work():
        memory = FrameBudget(100)
        with await memory.share(1) as first:
            first.settle([40])
            with await memory.share(1) as second:
                second.settle([40])
                assert memory.held == 80
                assert not await soon(memory.share(1))
            assert memory.held == 40
            assert await soon(memory.share(1))

    asyncio.run(work())


def test_who_waits_enters_when_somebody_leaves_and_in_order():
    async def work():
        memory = FrameBudget(100)
        entered = []

        async def enter(name: str, requests: int) -> None:
            with await memory.share(requests):
                entered.append(name)

        with await memory.share(1) as first:
            first.settle([60])
            large, small = asyncio.ensure_future(enter("large", 1)), asyncio.ensure_future(enter("small", 0))
            await asyncio.sleep(0.01)
            assert entered == []
        await asyncio.gather(large, small)
        assert entered == ["large", "small"]

    asyncio.run(work())


def test_a_request_larger_than_the_limit_is_let_in_alone():
    async def work():
        memory = FrameBudget(100)
        with await memory.share(1) as giant:
            giant.settle([1000])
            assert not await soon(memory.share(1))
        with await memory.share(1):
            assert memory.held == 1000

    asyncio.run(work())


def test_before_the_first_frames_are_known_few_enter():
    async def work():
        memory = FrameBudget(100)
        shares = [await memory.share(1) for _ in range(8)]
        assert memory.held == 96
        assert not await soon(memory.share(1))
        shares[0].settle([1])
        assert memory.held == 8
        assert await soon(memory.share(1))

    asyncio.run(work())


def test_only_so_many_of_unknown_size_are_inside(monkeypatch):
    monkeypatch.setattr(frame_budget, "MOST_UNKNOWN", 4)

    async def work():
        memory = FrameBudget(1000)
        with await memory.share(1) as first:
            first.settle([1])
        shares = [await memory.share(2) for _ in range(2)]
        assert not await soon(memory.share(1))
        shares[0].settle([1, 1])
        assert await soon(memory.share(1))

    asyncio.run(work())


def test_requests_without_frames_tell_nothing():
    async def work():
        memory = FrameBudget(80)
        with await memory.share(2) as share:
            share.settle([0, 0])
            assert memory.expected == 10
            share.settle([0, 30, 0])
            assert memory.expected == 30

    asyncio.run(work())


def test_a_giant_is_forgotten_in_time():
    memory = FrameBudget(100)
    memory.settled([50])
    memory.settled([10])
    assert memory.expected == int(50 * DECAY)
    memory.settled([10] * 200)
    assert memory.expected == 10


def test_whatever_the_sizes_nobody_waits_for_ever_and_the_limit_holds():
    """Random sizes, giants among them: all get through, and no more than the limit is held by those of known size."""

    async def work(seed: int) -> None:
        rng, memory, most = random.Random(seed), FrameBudget(1_000_003), 0

        async def one(size: int) -> None:
            nonlocal most
            with await memory.share(1) as share:
                await asyncio.sleep(0)
                share.settle([size])
                known = [each.size for each in memory._inside if each.size is not None]
                most = max(most, sum(known) - max(known))
                await asyncio.sleep(0)

        sizes = [rng.randrange(1, 90_001) if rng.random() < 0.97 else rng.randrange(1_000_003, 2_000_003) for _ in range(150)]
        await asyncio.wait_for(asyncio.gather(*map(one, sizes)), 20)
        assert memory.held == 0
        assert most <= 1_000_003 + frame_budget.MOST_UNKNOWN * 90_001

    for seed in range(10):
        asyncio.run(work(seed))


def test_a_machine_that_does_not_tell_its_memory_has_some(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": -1}.get)
    assert machine_memory(tmp_path / "none") == 2**32


def test_the_default_is_a_part_of_the_machines_memory(tmp_path):
    group = tmp_path / "memory.max"
    group.write_text("1000000\n")
    assert machine_memory(group) == 1_000_000
    group.write_text("max\n")
    whole = machine_memory(group)
    assert whole == machine_memory(tmp_path / "none") > 2**28
    assert FrameBudget().limit == pytest.approx(machine_memory() / PART_OF_MACHINE, abs=1)


def test_a_batch_that_is_given_up_before_it_began_keeps_no_memory():
    async def work():
        memory, tasks = FrameBudget(100), Tasks(fail=print)
        here = SimpleNamespace(limits=Limits(), memory=memory)
        engine = LocalEngine(None, Capabilities(sizes=FrameSizes()), here, None, asyncio.Semaphore(1), most=1)
        wanted = SimpleNamespace(to_site=lambda: None)
        dispatcher = Dispatcher(None, engine, SingleFlight(), SimpleNamespace(), tasks)
        await dispatcher.enter([wanted])
        assert memory.held
        assert engine.under_way.locked()
        tasks.stop()
        await asyncio.sleep(0.01)
        assert memory.held == 0
        assert not engine.under_way.locked()

    asyncio.run(work())
