"""Engines that die: on the real engine, whose process is killed or which a request crashes; and by a script, for what is rare."""

from __future__ import annotations

import asyncio

import psutil
import pytest
from outcomes import texts

pytest.importorskip("vllm", reason="vLLM is not installed: .ci/run runs these tests in its vLLM lane")

from poisoned import SUBSETS
from running import DONE_WITHIN, Running

from juicecap.errors import EnvironmentFailure, SampleError
from juicecap.vlm.backends.vllm.engine_pool import EnginePool
from juicecap.vlm.backends.vllm.engine_process import EngineDied

from .conftest import described, processes

pytestmark = pytest.mark.model


class TestRealEngines:
    def test_a_killed_engine_is_reopened_and_nothing_is_lost(self, engine, clips, prepared):
        batch = [prepared(path) for path in clips.paths * 8]
        (before,) = processes(engine)
        asking = engine.begin(engine.answering(batch))
        before.kill()
        assert texts(asking.result(DONE_WITHIN)) == clips.captions * 8
        (after,) = processes(engine)
        assert before.pid != after.pid
        assert not before.is_running()

    def test_two_engines_share_the_requests(self, two_frail_engines, clips, prepared):
        held, asked = two_frail_engines, {0: 0, 1: 0}
        for number, berth in enumerate(held.engine._pool._berths):
            real = berth.engine.ask

            def counted(*arguments, number=number, real=real):
                asked[number] += 1
                return real(*arguments)

            berth.engine.ask = counted
        batch = [prepared(path) for path in clips.paths * 5]
        assert texts(held.answers(batch)) == clips.captions * 5
        assert asked == {0: 30, 1: 30}
        assert held.backend.capabilities.batch_size * held.engine.max_concurrent_calls == 48

    def test_a_request_that_kills_engines_is_found_among_its_neighbours(self, two_frail_engines, clips, prepared):
        held = two_frail_engines
        before = [process.pid for process in processes(held)]
        poison = prepared(clips.paths[0], text="why? " * 300, temperature=1.0)
        batch = [prepared(path) for path in clips.paths[:6]]
        batch.insert(3, poison)
        outcomes = held.answers(batch)
        assert texts(outcomes) == [*clips.captions[:3], "ENGINE_POISON", *clips.captions[3:6]]
        assert outcomes[3].failure.message == (
            "vLLM's engine died twice over this sample: RuntimeError: CPU Generator does not use offset"
        )
        assert (outcomes[3].failure.attempts, outcomes[3].failure.retryable) == (2, False)
        held.answers([prepared(path) for path in clips.paths])  # waits until both are open again
        after = [process.pid for process in processes(held)]
        assert len(set(before) & set(after)) == 1  # the other one has not noticed

    def test_closing_while_requests_are_under_way_leaves_no_process(self, clips, prepared):
        held = Running(described())
        batch = [prepared(path) for path in clips.paths * 50]
        known = set(psutil.Process().children(recursive=True))
        held.open()
        own = set(psutil.Process().children(recursive=True)) - known
        assert own
        asking = held.begin(held.answering(batch))
        held.do(asyncio.sleep(0.3))
        held.close()
        with pytest.raises(EnvironmentFailure) as caught:
            asking.result(10)
        assert str(caught.value) == "vLLM's engine was closed while it had requests"
        _, alive = psutil.wait_procs(own, timeout=5)
        assert [process.cmdline() for process in alive if "resource_tracker" not in str(process.cmdline())] == []


class Scripted:
    """An engine without a model: dies over what is in `deadly`, and with it whatever it has under way."""

    slots = 4

    def __init__(self, number: int, deadly: set[str]) -> None:
        self.number, self.deadly = number, deadly
        self.dead = asyncio.Event()
        self.most = self.now = 0
        self.asked: list[str] = []

    async def ask(self, text: str) -> str:
        self.asked.append(text)
        self.now += 1
        self.most = max(self.most, self.now)
        if text in self.deadly:
            self.dead.set()
        await asyncio.sleep(0.01)
        self.now -= 1
        if self.dead.is_set():
            raise EngineDied
        return text.upper()

    def cause_of_death(self) -> str:
        return "it was told to"

    async def stop(self) -> None:
        self.dead.set()


class Yard:
    """Builds scripted engines; after the first `spare` ones, no more."""

    def __init__(self, *deadly: str, spare: int = 99) -> None:
        self.deadly, self.spare = set(deadly), spare
        self.built: list[Scripted] = []

    async def start(self, number: int) -> Scripted:
        if len(self.built) == self.spare:
            raise EnvironmentFailure("out of engines")
        await asyncio.sleep(0.01)
        self.built.append(Scripted(number, self.deadly))
        return self.built[-1]


async def asked(fleet: EnginePool, *texts: str) -> list[str]:
    async def one(text):
        try:
            return await fleet.ask(lambda engine: engine.ask(text))
        except SampleError as error:
            return error.code
        except EnvironmentFailure as error:
            return str(error)

    return list(await asyncio.gather(*map(one, texts)))


class TestScriptedEngines:
    def fleet(self, yard: Yard, *texts: str, size: int = 1) -> list[str]:
        async def all_of_it():
            fleet = EnginePool(yard.start, size)
            await fleet.open()
            answers = await asked(fleet, *texts)
            await fleet.close()
            return answers

        return asyncio.run(all_of_it())

    def test_suspects_are_asked_one_at_a_time(self):
        yard = Yard("c")
        assert self.fleet(yard, *"abcde") == ["A", "B", "ENGINE_POISON", "D", "E"]
        assert [(engine.asked, engine.most) for engine in yard.built] == [
            (list("abcde"), 5),
            (list("abc"), 1),
            (list("de"), 1),
        ]

    @pytest.mark.parametrize("poison", SUBSETS)
    def test_whatever_is_deadly_its_neighbours_are_answered(self, poison: tuple[int, ...]):
        expected = ["ENGINE_POISON" if place in poison else "ABCDEF"[place] for place in range(6)]
        assert self.fleet(Yard(*("abcdef"[place] for place in poison)), *"abcdef") == expected

    def test_other_engines_go_on(self):
        yard = Yard("c")
        assert self.fleet(yard, *"abcdef", size=2) == ["A", "B", "ENGINE_POISON", "D", "E", "F"]
        assert yard.built[1].asked == list("bdf")
        assert not [engine for engine in yard.built[2:] if engine.number == 1]

    def test_new_requests_wait_until_no_suspect_is_left(self):
        async def all_of_it():
            yard = Yard("b")
            fleet = EnginePool(yard.start, 1)
            await fleet.open()
            first = asyncio.ensure_future(asked(fleet, *"abc"))
            await asyncio.sleep(0.015)  # they wait for the next engine
            answers = await asked(fleet, *"xyz")
            return await first, answers, [engine.asked for engine in yard.built]

        first, answers, heard = asyncio.run(all_of_it())
        assert first == ["A", "ENGINE_POISON", "C"]
        assert answers == ["X", "Y", "Z"]
        assert heard == [list("abc"), list("ab"), list("cxyz")]

    def test_an_engine_that_dies_over_everything_is_given_up(self):
        answers = self.fleet(Yard(*"abcdefghijk"), *"abcdefghijk")
        given_up = "vLLM's engine died 8 times without an answer in between: it was told to"
        assert answers == [*["ENGINE_POISON"] * 7, *[given_up] * 4]

    @pytest.mark.parametrize(
        ("deadly", "uncertain"), [("c", ""), ("ac", ""), ("bc", ""), ("bcd", "d"), ("abdefh", "bf"), ("abcdefghijk", "bcdefg")]
    )
    def test_deaths_in_a_row_may_be_the_engines_own_fault_and_are_asked_another_day(self, deadly: str, uncertain: str):
        async def all_of_it():
            fleet = EnginePool(Yard(*deadly).start, 1)
            await fleet.open()
            works = [fleet.ask(lambda engine, text=text: engine.ask(text)) for text in "abcdefghijk"]
            outcomes = await asyncio.gather(*works, return_exceptions=True)
            await fleet.close()
            return outcomes

        outcomes = dict(zip("abcdefghijk", asyncio.run(all_of_it()), strict=True))
        given_up = [text for text, each in outcomes.items() if isinstance(each, EnvironmentFailure)]
        assert given_up == (list("hijk") if len(deadly) > 7 else [])
        assert [text for text, each in outcomes.items() if isinstance(each, SampleError)] == [
            text for text in deadly if text not in given_up
        ]
        assert "".join(text for text, each in outcomes.items() if getattr(each, "retryable", False)) == uncertain

    def test_an_answer_in_between_starts_the_count_again(self):
        yard = Yard(*"bdfh")
        poison = "ENGINE_POISON"
        assert self.fleet(yard, *"abcdefgh") == ["A", poison, "C", poison, "E", poison, "G", poison]
        assert len(yard.built) == 5

    def test_an_engine_that_cannot_be_reopened(self):
        answers = self.fleet(Yard("b", spare=1), *"abc")
        assert answers == ["out of engines (it died before: it was told to)"] * 3

    def test_suspects_that_are_given_up_block_nobody(self):
        async def all_of_it():
            yard = Yard("b")
            fleet = EnginePool(yard.start, 1)
            await fleet.open()
            first = asyncio.ensure_future(asked(fleet, *"abc"))
            await asyncio.sleep(0.015)  # they wait for the next engine
            first.cancel()
            await asyncio.wait([first])
            return await asked(fleet, *"xy"), fleet._berths[0].suspects

        assert asyncio.run(all_of_it()) == (["X", "Y"], 0)

    def test_an_engine_that_does_not_open(self):
        async def all_of_it():
            fleet = EnginePool(Yard(spare=1).start, 2)
            with pytest.raises(EnvironmentFailure, match="out of engines"):
                await fleet.open()

        asyncio.run(all_of_it())

    def test_a_closed_fleet_reopens_nothing(self):
        async def all_of_it():
            yard = Yard()
            fleet = EnginePool(yard.start, 1)
            await fleet.open()
            asking = asyncio.ensure_future(asked(fleet, *"ab"))
            await asyncio.sleep(0)
            await fleet.close()
            return await asking, len(yard.built)

        assert asyncio.run(all_of_it()) == (["vLLM's engine was closed while it had requests"] * 2, 1)
