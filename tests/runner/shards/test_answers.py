"""A question that is asked in several shards has one answer: that of the lowest, and an answer rather than a failure."""

from __future__ import annotations

import itertools

import pytest

import juicecap
from juicecap.runner.shards.merge import OtherAnswers
from juicecap.vlm.base import Failure


@pytest.fixture
def moody(job, monkeypatch: pytest.MonkeyPatch):
    """A model that never answers twice alike, and texts of which some are in two shards."""
    job.texts.process = [job.ask, {"ask_mapper": {**job.ask["ask_mapper"], "prompt": "Is this so? ", "text_key": "answer"}}]
    job.texts.process[1] = {"length_asker": {**job.ask["ask_mapper"]}}
    operators = job.texts.folder / "operators.py"
    operators.write_text(
        operators.read_text()
        + '''

@register
@dataclass(frozen=True, kw_only=True)
class LengthAsker(AskMapper):
    """Asks about the answer of before."""

    def columns_written(self):
        return {"doubt": "text"}

    def requests(self, sample):
        return [self.question([Message("user", (Part("text", "Really " + sample["answer"]),))], self.candidates())]

    def process(self, sample, outcomes):
        return [{**sample, "doubt": outcomes[0].answers[0].text}]
'''
    )
    job.texts.write(["a", "b", "c", "a", "d", "b", "a", "e"])
    numbers = itertools.count()

    class Moods(dict):
        def get(self, asked: str, default: object = None) -> object:
            return super().get(asked) or [f"{asked} {next(numbers)}"]

    job.script.answers = Moods()
    return job


def test_the_answer_of_the_lowest_shard_holds_in_journal_and_output(moody) -> None:
    moody.shard(4, 3, 2, 1)
    moody.asked()
    with pytest.raises(OtherAnswers) as told:
        moody.merge()
    assert str(told.value).splitlines()[1:] == [
        f"  juicecap run {moody.texts.folder}/recipe.yaml --shard {number}/4" for number in (2, 3, 4)
    ]
    moody.shard(4, 3, 2)
    moody.merge()
    assert moody.asked() == []
    rows = moody.texts.rows()
    for text in "ab":
        same = [row for row in rows if row["text"] == text]
        assert len(same) > 1
        assert {(row["answer"], row["doubt"]) for row in same} == {(same[0]["answer"], same[0]["doubt"])}
    before = moody.texts.output.read_bytes()
    moody.texts.process.insert(0, {"text_length_filter": {"min_len": 1}})
    moody.texts.run(max_rejected=1.0)
    assert (moody.asked(), moody.texts.output.read_bytes()) == ([], before)


def test_a_merge_that_is_broken_off_in_between_takes_no_stale_table(moody, monkeypatch: pytest.MonkeyPatch) -> None:
    moody.shard(1, 2, 3, 4)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("juicecap.runner.shards.answers.Journal", broken_off)
        moody.merge()
    moody.shard(1, 2, 3, 4)
    with pytest.raises(OtherAnswers):
        moody.merge()
    moody.shard(1, 2, 3, 4)
    assert moody.merge().exported == 8
    assert len({row["answer"] for row in moody.texts.rows() if row["text"] == "a"}) == 1


def broken_off(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_answer_beats_a_failure(job) -> None:
    job.texts.process = [job.ask]
    job.texts.write(["same", "x", "y", "same"])
    job.script.answers = {"same": Failure(code="REFUSED", message="no", attempts=1)}
    job.shard(1, of=2)
    job.script.answers = {}
    job.shard(2, of=2)
    job.asked()
    with pytest.raises(OtherAnswers, match=r"--shard 1/2$"):
        job.merge()
    job.shard(1, of=2)
    result = job.merge()
    assert (result.rejected, [row["answer"] for row in job.texts.rows()]) == (0, ["same 0", "x 0", "y 0", "same 0"])
    assert job.asked() == []


def test_one_run_over_all_shards_settles_that_by_itself(moody) -> None:
    result = juicecap.run(moody.texts.recipe(max_rejected=1.0), shards=4)
    assert result.exported == 8
    assert len({row["doubt"] for row in moody.texts.rows() if row["text"] == "a"}) == 1
