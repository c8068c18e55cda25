"""Turns at workers: by need, and never all of them for what takes long."""

from __future__ import annotations

import asyncio

from juicecap.media.workers.turns import FOR_ENGINE, Need, Turns


def order(workers: int, jobs: list[tuple[str, Need, bool]], done: list[str]) -> list[list[str]]:
    """Which jobs are at work: at first, and after the end of each of `done`."""

    async def main() -> list[list[str]]:
        turns, ends, at_work = Turns(workers), {name: asyncio.Event() for name, _, _ in jobs}, list[str]()

        async def job(name: str, need: Need, long: bool) -> None:
            async with turns.turn(need, long=long):
                at_work.append(name)
                await ends[name].wait()
                at_work.remove(name)

        tasks = [asyncio.create_task(job(*each)) for each in jobs]
        seen = []
        for name in ("", *done):
            if name:
                ends[name].set()
            for _ in range(5):
                await asyncio.sleep(0)
            seen.append(list(at_work))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return seen

    return asyncio.run(main())


def test_frames_for_an_engine_go_first_then_later_ops_then_earlier_samples() -> None:
    jobs = [
        ("first", (1, 0, 0), False),
        ("second", (1, 0, 5), False),
        ("third", (1, 0, 4), False),
        ("downstream", (1, -2, 9), False),
        ("frames", FOR_ENGINE, False),
    ]
    assert order(1, jobs, ["first", "frames", "downstream", "third"]) == [
        ["first"],
        ["frames"],
        ["downstream"],
        ["third"],
        ["second"],
    ]


def test_long_jobs_leave_a_worker_free() -> None:
    jobs = [(f"long {n}", (0, 0, n), True) for n in range(3)] + [("short", (1, 0, 9), False)]
    assert order(2, jobs, ["long 0", "short", "long 1"]) == [["long 0", "short"], ["short", "long 1"], ["long 1"], ["long 2"]]


def test_a_single_worker_does_long_jobs_too() -> None:
    jobs = [("long", (0,), True), ("short", (1,), False)]
    assert order(1, jobs, ["long"]) == [["long"], ["short"]]


def test_who_gives_up_takes_no_turn() -> None:
    async def main() -> list[str]:
        turns, begun = Turns(1), list[str]()

        async def job(name: str) -> None:
            async with turns.turn(FOR_ENGINE):
                begun.append(name)

        async with turns.turn(FOR_ENGINE):
            given_up, waits = asyncio.create_task(job("given up")), asyncio.create_task(job("waits"))
            await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.sleep(0)
        await waits
        async with turns.turn(FOR_ENGINE, long=True):
            begun.append("long")
        return begun

    assert asyncio.run(main()) == ["waits", "long"]
