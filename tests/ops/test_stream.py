"""Samples that flow through several ops: order, no barrier, rounds, and batches that do not depend on timing."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from scripted import Script, prompt_of
from typing_extensions import override
from waiting import until

from juicecap.errors import SampleError
from juicecap.ops.apply import rounds, stream
from juicecap.ops.apply.fate import Fate
from juicecap.ops.apply.rounds import Conversation
from juicecap.ops.apply.stream import Stage, Stream
from juicecap.ops.base import Filter, Mapper, Op
from juicecap.sample import Sample
from juicecap.vlm.base import Failure, Limits, Message, ModelSettings, Outcome, Part, Request
from juicecap.vlm.journal import Journal


def question(model: str, text: str) -> Request:
    return Request(model=ModelSettings(model=model), messages=(Message("user", (Part("text", text),)),))


@dataclass(frozen=True, kw_only=True)
class AskMapper(Mapper):
    """Asks about one sample in `every`."""

    model: str
    about: str
    every: int = 1

    @override
    def requests(self, sample: Sample) -> Sequence[Request]:
        return [] if sample["n"] % self.every else [question(self.model, f"{self.about} {sample['n']}")]

    @override
    def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        return [{**sample, self.about: outcomes[0].answers[0].text if outcomes else None}]


@dataclass(frozen=True, kw_only=True)
class TwiceMapper(Mapper):
    """Gives one sample in three twice, and drops one in five."""

    @override
    def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        n = sample["n"]
        return [] if n % 5 == 4 else [{**sample, "n": n + 1000 * copy} for copy in range(2 if n % 3 == 0 else 1)]


@dataclass(frozen=True, kw_only=True)
class EvenFilter(Filter):
    """Keeps samples with even numbers, and fails on 22."""

    @override
    def keep(self, sample: Sample) -> bool:
        if sample["n"] == 22:
            raise SampleError("ODD", "22 is odd")
        return sample["n"] % 2 == 0


@dataclass(frozen=True, kw_only=True)
class JudgeOp(Op):
    """Asks for a caption, asks about it where `n` is no multiple of 3, and once more where the answer is `judge N 0 0`."""

    model: str

    @override
    def converse(self, sample: Sample) -> Conversation:
        n = sample["n"]
        (caption,) = yield [question(self.model, f"caption {n}")]
        said = caption.answers[0].text
        if n % 3:
            (judged,) = yield [question(self.model, f"judge {n} of {said}")]
            said = judged.answers[0].text
            if n % 4 == 1:
                first, second = yield [question(self.model, f"again {n}"), question(self.model, f"and again {n}")]
                said = f"{first.answers[0].text}, {second.answers[0].text}"
        return [{**sample, "judged": said}]


def flow(
    ops: Sequence[Op], samples: Sequence[Sample], journal: Journal | None = None, most: int | None = None
) -> list[list[Fate]]:
    """The fates of each op, in order; of the first `most` fates of the last op, if that is given."""
    fates: list[list[Fate]] = [[] for _ in ops]
    stages = [Stage(op, op.limits()) for op in ops]
    with Stream(stages, samples, journal) as flowing:
        for stage, some in flowing:
            fates[stages.index(stage)] += some
            if most is not None and len(fates[-1]) >= most:
                break
            flowing.pass_on(stage, [output for fate in some for output in fate.outputs])
    return fates


def one_after_the_other(ops: Sequence[Op], samples: Sequence[Sample]) -> list[list[Fate]]:
    fates: list[list[Fate]] = []
    for op in ops:
        fates += flow([op], samples)
        samples = [output for fate in fates[-1] for output in fate.outputs]
    return fates


def plain(fates: Sequence[Sequence[Fate]]) -> list[list[tuple]]:
    return [[(fate.kind, fate.sample, fate.outputs, fate.failure and fate.failure.code) for fate in some] for some in fates]


def calls(script: Script) -> Counter[tuple[str, ...]]:
    """The members of every call."""
    counted = Counter(tuple(map(prompt_of, batch)) for batch in script.batches)
    script.batches.clear()
    return counted


def samples(count: int) -> list[Sample]:
    return [{"n": number} for number in range(count)]


@pytest.fixture
def ops(script: Script) -> list[Op]:
    model = script.model
    return [
        AskMapper(model=model, about="first", every=2),
        TwiceMapper(),
        JudgeOp(model=model),
        EvenFilter(),
        AskMapper(model=f"{model}-x", about="last"),
    ]


def test_samples_flow_and_nothing_is_other_than_one_op_after_the_other(script: Script, ops: list[Op]) -> None:
    expected = plain(one_after_the_other(ops, samples(60)))
    calls(script)
    assert plain(flow(ops, samples(60))) == expected
    assert [len(some) for some in expected] == [60, 60, 64, 64, 31]
    assert Counter(each[0] for each in expected[3]) == {"kept": 31, "filtered": 32, "rejected": 1}
    assert [each[3] for each in expected[3] if each[3]] == ["ODD"]


@pytest.mark.parametrize(("together", "room"), [(1, 4096), (4, 4096), (4, 25), (16, 40)])
def test_the_members_of_every_call_do_not_depend_on_timing(
    script: Script, ops: list[Op], monkeypatch: pytest.MonkeyPatch, together: int, room: int
) -> None:
    monkeypatch.setattr(stream, "MOST_SAMPLES", room)
    script.together, script.calls = together, 3
    everything = []
    for seed in range(5):
        luck = random.Random(seed)
        script.delay = lambda: luck.choice([0, 0, 0.001, 0.01])  # noqa: B023
        monkeypatch.setattr(stream, "AT_ONCE", luck.choice([1, 7, 64]))
        everything.append((plain(flow(ops, samples(60))), calls(script)))
    assert all(each == everything[0] for each in everything)
    if room == 4096:
        assert max(map(len, everything[0][1])) == together


def test_a_run_that_goes_on_asks_the_rest_of_the_same_calls(script: Script, ops: list[Op], tmp_path: Path) -> None:
    script.together, script.calls = 4, 2
    expected = plain(flow(ops, samples(60)))
    whole = calls(script)
    luck = random.Random(1)
    script.delay = lambda: luck.choice([0, 0.002])
    for most in (1, 9, 17, 25):
        with Journal(tmp_path / "journal") as journal:
            flow(ops, samples(60), journal, most)
        for members in calls(script):
            assert any(set(members) <= set(call) for call in whole), members
    asked: Counter[str] = Counter()
    with Journal(tmp_path / "journal") as journal:
        assert plain(flow(ops, samples(60), journal)) == expected
    rest = calls(script)
    for members in rest:
        assert any(set(members) <= set(call) for call in whole), members
    with Journal(tmp_path / "journal") as journal:
        assert plain(flow(ops, samples(60), journal)) == expected
    asked.update(itertools.chain.from_iterable(script.batches))
    assert not asked


def test_while_one_sample_waits_those_before_it_go_on(script: Script) -> None:
    """No barrier between ops."""
    script.together, script.calls = 1, 2
    script.gates["first 5"] = threading.Event()
    done: list[int] = []

    @dataclass(frozen=True, kw_only=True)
    class NoteMapper(Mapper):
        @override
        def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
            done.append(sample["n"])
            if sample["n"] == 4:
                script.gates["first 5"].set()
            return [sample]

    chain = [AskMapper(model=script.model, about="first"), AskMapper(model=script.model, about="last"), NoteMapper()]
    flow(chain, samples(10))
    assert done == list(range(10))


def test_what_is_full_holds_up_what_comes_before_it(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_SAMPLES", 20)
    script.together, script.calls = 1, 1
    script.gates["last 0"] = threading.Event()
    taken: list[int] = []

    def source():
        for sample in samples(100):
            taken.append(sample["n"])
            yield sample

    chain = [AskMapper(model=script.model, about="first"), AskMapper(model=f"{script.model}-x", about="last")]
    fates: list[list[Fate]] = []
    thread = threading.Thread(target=lambda: fates.extend(flow(chain, source())))
    thread.start()
    until(lambda: len(taken) >= 20)
    script.gates["last 0"].set()
    thread.join()
    assert len(fates[1]) == 100


def test_at_rest_what_is_furthest_downstream_goes_first(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch fills, since there is room for four samples in each op: two ops wait at once, and the second one goes."""
    monkeypatch.setattr(stream, "MOST_SAMPLES", 8)
    script.together = 100
    flow([AskMapper(model=script.model, about="first"), AskMapper(model=script.model, about="last")], samples(12))
    called = [f"{prompt_of(batch[0])} to {prompt_of(batch[-1])}" for batch in script.batches]
    assert called == [
        "first 0 to first 3", "last 0 to last 3", "first 4 to first 7",
        "last 4 to last 7", "first 8 to first 11", "last 8 to last 11",
    ]  # fmt: skip


def test_of_all_that_can_be_done_what_is_furthest_downstream_is_first() -> None:
    done: list[tuple[str, int]] = []

    @dataclass(frozen=True, kw_only=True)
    class NotingMapper(Mapper):
        name_of: str = ""

        @override
        def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
            done.append((self.name_of, sample["n"]))
            return [sample]

    stages = [Stage(NotingMapper(name_of=name), Limits()) for name in ("first", "second", "last")]
    with Stream(stages, samples(4), at_once=1) as running:
        for stage, fates in running:
            running.pass_on(stage, [output for fate in fates for output in fate.outputs])
    assert done == [(name, number) for number in range(4) for name in ("first", "second", "last")]


def test_heavy_samples_take_more_room(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_BYTES", 10_000)
    script.together = 100
    flow([AskMapper(model=script.model, about="first")], [{"n": number, "text": "x" * 900} for number in range(40)])
    assert {len(batch) for batch in script.batches} <= {11, 7}
    assert sum(map(len, script.batches)) == 40


class TestRounds:
    def test_each_sample_asks_as_often_as_it_must(self, script: Script) -> None:
        (fates,) = flow([JudgeOp(model=script.model)], samples(6))
        assert [fate.outputs[0]["judged"] for fate in fates] == [
            "caption 0 0",
            "again 1 0, and again 1 0",
            "judge 2 of caption 2 0 0",
            "caption 3 0",
            "judge 4 of caption 4 0 0",
            "again 5 0, and again 5 0",
        ]
        assert [(fate.usage.captions, fate.usage.further) for fate in fates] == [(1, 0), (1, 3), (1, 1), (1, 0), (1, 1), (1, 3)]

    def test_batches_never_mix_rounds_or_ops(self, script: Script) -> None:
        script.together = 4
        flow([JudgeOp(model=script.model), AskMapper(model=script.model, about="last")], samples(30))
        for batch in script.batches:
            assert len({prompt_of(each).replace("and again", "again").split()[0] for each in batch}) == 1

    def test_a_failure_is_raised_where_it_was_asked(self, script: Script) -> None:
        script.answers["caption 1"] = Failure(code="UNREADABLE", message="no")
        script.answers["caption 2"] = Failure(code="UNREADABLE", message="no")

        @dataclass(frozen=True, kw_only=True)
        class StubbornOp(Op):
            @override
            def converse(self, sample: Sample) -> Conversation:
                try:
                    (outcome,) = yield [question(script.model, f"caption {sample['n']}")]
                except SampleError as error:
                    if sample["n"] == 2:
                        raise
                    (outcome,) = yield [question(script.model, f"after {error.code}")]
                return [{"text": outcome.answers[0].text}]

        (fates,) = flow([StubbornOp()], samples(3))
        assert [(fate.kind, fate.failure and fate.failure.code) for fate in fates] == [
            ("kept", None),
            ("kept", None),
            ("rejected", "UNREADABLE"),
        ]
        assert [fate.outputs[0]["text"] for fate in fates[:2]] == ["caption 0 0", "after UNREADABLE 0"]

    def test_one_that_never_ends_is_rejected(self, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rounds, "MOST_ROUNDS", 5)

        @dataclass(frozen=True, kw_only=True)
        class EndlessOp(Op):
            @override
            def converse(self, sample: Sample) -> Conversation:
                number = 0
                while True:
                    yield [question(script.model, f"round {number}")] if sample["n"] else []
                    number += 1

        (fates,) = flow([EndlessOp()], samples(2))
        assert [fate.failure and fate.failure.code for fate in fates] == ["TOO_MANY_ROUNDS"] * 2
        assert len(script.batches) == 5

    @pytest.mark.parametrize("asked", [["a text"], 7, [[]]])
    def test_what_is_no_request_costs_the_sample(self, script: Script, asked: object) -> None:
        @dataclass(frozen=True, kw_only=True)
        class OddOp(Op):
            @override
            def converse(self, sample: Sample) -> Conversation:
                if sample["n"]:
                    yield asked
                return [sample]

        (fates,) = flow([OddOp()], samples(2))
        assert [fate.failure and fate.failure.code for fate in fates] == [None, "OP_FAILED"]

    def test_requests_and_finish_are_the_short_form(self, script: Script) -> None:
        op = AskMapper(model=script.model, about="first")
        assert op.uses_model()
        assert not TwiceMapper().uses_model()
        assert JudgeOp(model=script.model).uses_model()
        assert [prompt_of_request(each) for each in op.plan_requests({"n": 7})] == ["first 7"]
        assert [prompt_of_request(each) for each in JudgeOp(model=script.model).plan_requests({"n": 7})] == ["caption 7"]


def prompt_of_request(request: Request) -> str:
    return request.messages[0].parts[0].value
