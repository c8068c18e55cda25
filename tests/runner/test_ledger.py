"""What a run says of its answers and its time adds up, and is what engine and ops saw."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from scripted import Script, prompt_of

import juicecap
from juicecap.report.summary import summary
from juicecap.runner import RunResult, local
from juicecap.runner.reporting.metrics import metrics_text
from juicecap.runner.reporting.status import read_status
from juicecap.runner.times import outside, together
from juicecap.vlm.base import Failure
from juicecap.vlm.pipeline import core

OPERATORS = '''
from juicecap.ops.options.model_options import ModelOptions
from juicecap.vlm.base import Message, Part


@register
@dataclass(frozen=True, kw_only=True)
class DoubtMapper(ModelOptions, Mapper):
    """Asks about the text, and about the answer, if it says so; notes how many answers it is given."""

    answers: int = 1
    doubts: bool = False

    def columns_written(self):
        return {"answer": "text"}

    def candidates(self):
        return self.answers

    def converse(self, sample):
        asked = sample["text"]
        for _ in range(1 + self.doubts):
            (outcome,) = yield [self.question([Message("user", (Part("text", asked),))], self.candidates())]
            with (HERE / "received.txt").open("a") as stream:
                stream.write("x" * len(outcome.answers))
            asked = "Is this so? " + outcome.answers[0].text
        return [{**sample, "answer": outcome.answers[-1].text}]

    def process(self, sample, outcomes):
        raise NotImplementedError
'''


class Ledger:
    """A job of twelve texts, four of them different, about which a scripted model is asked two at a time."""

    def __init__(self, texts: Any, script: Script) -> None:
        self.texts, self.script = texts, script
        operators = texts.folder / "operators.py"
        operators.write_text(operators.read_text() + OPERATORS)
        self.op: dict[str, Any] = {"hf_model": script.model, "batch_size": 2}
        texts.process = [{"doubt_mapper": self.op}]
        texts.write([f"text {number % 4}" for number in range(12)])
        self.noted = texts.folder / "received.txt"

    def run(self, **how: Any) -> RunResult:
        """Run, and see that the figures are those of the engine and of the op, everywhere."""
        core.close()
        self.script.batches.clear()
        self.noted.write_text("")
        retry = how.pop("retry_rejected", False)
        recipe = self.texts.recipe(**{"max_rejected": 1.0, **how})
        result = juicecap.run(recipe, retry_rejected=retry)
        asked = [each for batch in self.script.batches for each in batch]
        good = [each for each in asked if not isinstance(self.script.answers.get(prompt_of(each)), Failure)]
        counts = result.answers
        assert counts.asked == sum(len(each.seeds) for each in good)
        assert (counts.prompt_tokens, counts.completion_tokens) == (5 * len(good), counts.asked)
        assert counts.received == len(self.noted.read_text())
        assert result.received == counts.received + result.received_before
        self.compare(result)
        return result

    def compare(self, result: RunResult) -> None:
        """The manifest, the status and the metrics say the same."""
        facts = self.texts.manifest()
        told, counts = facts["answers"], result.answers
        parts = told["asked"] + told["shared"] + told["replayed"] + told["received_before"]
        assert told["received"] == parts == result.received
        assert told["failed"] == counts.failed
        for name, count in told.items():
            assert count == sum(step["answers"][name] for step in facts["steps"])
        status = read_status(self.texts.work_dir)
        figures = [(step.asked, step.shared, step.replayed, step.unanswered) for step in status.steps]
        assert figures == [(counts.asked, counts.shared, counts.replayed, counts.failed)]
        assert f'step="1"}} {counts.shared}\n' in metrics_text(status).partition("answers_shared_total counter")[2]


@pytest.fixture
def ledger(texts, script: Script) -> Ledger:
    return Ledger(texts, script)


def parts(result: RunResult) -> tuple[int, ...]:
    """Asked, shared, replayed, left by finished ops, failed."""
    counts = result.answers
    return counts.asked, counts.shared, counts.replayed, result.received_before, counts.failed


def told(result: RunResult) -> list[str]:
    return [line for line in summary(result).splitlines() if line.startswith(("answers", "asked", "replayed"))]


def test_equal_questions_are_asked_once_and_then_shared_and_what_is_replayed_counts_once(ledger: Ledger) -> None:
    first = ledger.run()
    assert parts(first) == (4, 8, 0, 0, 0)
    assert told(first) == [
        "answers   12: 4 asked + 8 shared within the run",
        "asked     20 prompt tokens, 4 completion tokens: what a server bills",
    ]
    again = ledger.run()
    assert parts(again) == (0, 0, 0, 12, 0)
    assert told(again) == ["answers   12: 12 of ops that an earlier run finished"]
    replayed = ledger.run(use_cache=False)
    assert parts(replayed) == (0, 8, 4, 0, 0)
    assert told(replayed) == [
        "answers   12: 8 shared within the run + 4 replayed",
        "replayed  20 prompt tokens, 4 completion tokens of earlier runs",
    ]


def test_a_run_that_goes_on_has_the_tokens_of_before_apart(ledger: Ledger) -> None:
    ledger.texts.write(["text 0", "text 1"])
    ledger.run()
    ledger.texts.write([f"text {number % 4}" for number in range(12)])
    result = ledger.run()
    assert parts(result) == (2, 8, 2, 0, 0)
    assert told(result) == [
        "answers   12: 2 asked + 8 shared within the run + 2 replayed",
        "asked     10 prompt tokens, 2 completion tokens: what a server bills",
        "replayed  10 prompt tokens, 2 completion tokens of earlier runs",
    ]


def test_failures_are_answers_that_did_not_come_whether_asked_for_or_known(ledger: Ledger) -> None:
    ledger.script.answers = {
        "text 1": Failure(code="ODD", message="m"),
        "text 2": Failure(code="BUSY", message="m", retryable=True),
    }
    first = ledger.run()
    assert (parts(first), first.rejected) == ((2, 4, 0, 0, 6), 6)
    assert told(first)[0] == "answers   6: 2 asked + 4 shared within the run; 6 failed"
    ledger.script.answers = {"text 1": Failure(code="ODD", message="m")}
    later = ledger.run()
    assert (parts(later), later.rejected) == ((1, 2, 0, 6, 0), 3)
    replayed = ledger.run(use_cache=False)
    assert (parts(replayed), replayed.rejected) == ((0, 6, 3, 0, 3), 3)
    ledger.script.answers = {}
    retried = ledger.run(retry_rejected=True)
    assert (parts(retried), retried.rejected) == ((1, 2, 0, 9, 0), 0)


def test_candidates_and_rounds_count_each_answer(ledger: Ledger) -> None:
    ledger.op["answers"] = 2
    assert parts(ledger.run()) == (8, 16, 0, 0, 0)
    ledger.op |= {"answers": 3, "doubts": True}
    result = ledger.run()
    assert parts(result) == (4 + 12, 48, 8, 0, 0)
    assert (result.total("captions"), result.total("further"), result.received) == (36, 36, 72)
    assert (result.answers.replayed_prompt_tokens, result.answers.replayed_completion_tokens) == (20, 8)


def test_two_ops_that_ask_the_same_share_their_answers(ledger: Ledger) -> None:
    ledger.texts.process = [{"doubt_mapper": ledger.op}, {"doubt_mapper": ledger.op}]
    juicecap.run(ledger.texts.recipe())
    both = [step["answers"] for step in ledger.texts.manifest()["steps"]]
    assert sum(each["asked"] for each in both) == 4
    assert [each["asked"] + each["shared"] for each in both] == [12, 12]


@pytest.mark.parametrize("how", ["whole", "shards"])
def test_shards_add_up_to_their_merge(ledger: Ledger, how: str) -> None:
    ledger.script.answers = {"text 1": Failure(code="ODD", message="m")}
    recipe = ledger.texts.recipe(max_rejected=1.0)
    merged = juicecap.run(recipe, shards=3)
    if how == "whole":
        again = juicecap.run(recipe)
        assert (parts(again), again.received, again.shards) == ((0, 0, 0, 9, 0), 9, 0)
        return
    folders = sorted((ledger.texts.work_dir / "shards").glob("*-of-03"))
    shards = [json.loads((folder / "manifest.json").read_text())["answers"] for folder in folders]
    assert [(each["asked"], each["received"], each["failed"]) for each in shards] == [(3, 3, 1)] * 3
    facts = ledger.texts.manifest()
    assert facts["answers"] == {name: sum(each[name] for each in shards) for name in shards[0]}
    assert (facts["shards"], parts(merged)) == (3, (9, 0, 0, 0, 3))
    assert " in 3 shards" in summary(merged)


def test_start_up_loading_and_export_are_no_ops_time(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that takes long to open holds up all ops of its segment, and none of them took that long."""
    for name in ("load", "write_outputs"):
        real = getattr(local, name)
        monkeypatch.setattr(local, name, lambda *given, real=real, **how: (time.sleep(0.4), real(*given, **how))[1])
    ledger.script.opens_in = 1.5
    length = {"text_length_filter": {"min_len": 1}}
    ledger.texts.process = [length, {"doubt_mapper": ledger.op}, length]
    began = time.monotonic() - 0.3
    result = juicecap.run(ledger.texts.recipe(), began=began)
    passed = time.monotonic() - began
    times = result.times
    assert times.start_up >= 0.3 + 1.5  # what came before this call, and the engine
    assert min(times.loading, times.export) >= 0.4
    assert max(step.seconds for step in result.steps) < 1.5
    told_apart = times.start_up + times.loading + times.ops + times.export
    assert told_apart <= result.seconds <= passed
    assert passed - told_apart < 1
    facts = ledger.texts.manifest()
    assert facts["times"] == pytest.approx({**vars(times)}, abs=0.001)
    assert facts["seconds"] == pytest.approx(result.seconds, abs=0.2)
    lines = summary(result).splitlines()
    at = lines.index(f"time      {result.seconds:.1f} s")
    assert lines[at + 1 : at + 3] == [f"          start-up {times.start_up:.1f} s", f"          loading {times.loading:.1f} s"]
    assert lines[at + 3].startswith(f"          ops {times.ops:.1f} s")
    assert lines[at + 4] == f"          export {times.export:.1f} s"
    assert [step.seconds for step in read_status(ledger.texts.work_dir).steps] == pytest.approx(
        [step.seconds for step in result.steps], abs=0.001
    )


def test_spans_that_overlap_count_once() -> None:
    assert together([(5, 6), (1, 3), (2, 4), (2, 3)]) == 4
    assert outside([(1, 4), (6, 7)], [(0, 2), (3, 5)]) == 2
    assert outside([], [(0, 2)]) == 0
