"""The bound on bytes of frames."""

from __future__ import annotations

import asyncio

import pytest

from juicecap.vlm.base import Limits
from juicecap.vlm.frame_memory import FORGETTING, PART_OF_MACHINE, FrameMemory, machine_memory


async def soon(work) -> bool:
    """Whether something is ready without anybody letting go of memory."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if not task.done():
        task.cancel()
    return task.done() and not task.cancelled()


def test_no_more_than_the_limit_once_sizes_are_known():
    async def work():
        memory = FrameMemory(Limits(frame_bytes=100))
        with await memory.share(1) as first:
            first.settle(40)
            assert memory.held == 40
            with await memory.share(1) as second:
                second.settle(40)
                assert not await soon(memory.share(1))
            assert memory.held == 40
            assert await soon(memory.share(1))

    asyncio.run(work())


def test_who_waits_enters_when_somebody_leaves_and_in_order():
    async def work():
        memory = FrameMemory(Limits(frame_bytes=100))
        entered = []

        async def enter(name: str, requests: int) -> None:
            with await memory.share(requests):
                entered.append(name)

        with await memory.share(1) as first:
            first.settle(60)
            large, small = asyncio.ensure_future(enter("large", 1)), asyncio.ensure_future(enter("small", 0))
            await asyncio.sleep(0.01)
            assert entered == []
        await asyncio.gather(large, small)
        assert entered == ["large", "small"]

    asyncio.run(work())


def test_a_clip_larger_than_the_limit_is_let_in_alone():
    async def work():
        memory = FrameMemory(Limits(frame_bytes=100))
        with await memory.share(1) as giant:
            giant.settle(1000)
            assert not await soon(memory.share(1))
        with await memory.share(1):
            assert memory.held == 1000

    asyncio.run(work())


def test_before_the_first_clip_is_known_few_enter():
    async def work():
        memory = FrameMemory(Limits(frame_bytes=100))
        await asyncio.gather(*(memory.share(1) for _ in range(8)))
        assert not await soon(memory.share(1))

    asyncio.run(work())


def test_a_giant_is_forgotten_in_time():
    memory = FrameMemory(Limits(frame_bytes=100))
    memory.learn(50)
    memory.learn(10)
    assert memory.expected == 50 * FORGETTING
    for _ in range(200):
        memory.learn(10)
    assert memory.expected == pytest.approx(10, rel=0.03)


def test_the_default_is_a_part_of_the_machines_memory(tmp_path):
    group = tmp_path / "memory.max"
    group.write_text("1000000\n")
    assert machine_memory(group) == 1_000_000
    group.write_text("max\n")
    whole = machine_memory(group)
    assert whole == machine_memory(tmp_path / "none") > 2**28
    assert FrameMemory(Limits()).limit <= whole // PART_OF_MACHINE
