"""Reasoning of a server's model reaches no caption, and the journal has it all the same."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from scripted_server import KEY, choice, obliging, said

from juicecap.vlm.base import Message, Outcome, Part, Request, Sampling
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.usefixtures("closed")

BALL = "A red ball rolls."
CUT_WHILE_THINKING = "the model's answer is empty: max_tokens was reached while it was thinking; raise it"


@pytest.fixture
def ask(server, clips, tmp_path: Path) -> Callable[..., list[Outcome]]:
    """Ask about clips, each with its own reply, one after the other."""

    def run(*choices, **options) -> list[Outcome]:
        core.close()
        left = iter(choices)
        server.script = lambda body: said(next(left)) if body["messages"][-1]["content"][-1:] == [WHAT] else obliging(body)
        server.seen = []
        with Journal(tmp_path / "j", **options) as journal:
            return [core.ask([about(server, path)], journal=journal)[0] for path in clips.paths[:COUNT]]

    return run


WHAT = {"type": "text", "text": "What?"}
COUNT = 1


def about(server, path: str, **more) -> Request:
    return Request(model=server.settings(), messages=(Message("user", (Part("video", path), Part("text", "What?"))),), **more)


def asked(server) -> int:
    return sum(seen.parts()[-1] == "What?" for seen in server.seen)


@pytest.mark.parametrize(
    ("reply", "reasoning"),
    [
        (choice(f"<think>\nA ball?\n</think>\n\n{BALL}"), "A ball?"),
        (choice(f"A ball?\n</think>\n\n{BALL}"), "A ball?"),
        (choice(BALL, reasoning_content="A ball?"), "A ball?"),
        (choice(BALL, reasoning="A ball?"), "A ball?"),
        (choice([{"type": "thinking", "thinking": "A ball?"}, {"type": "text", "text": BALL}]), "A ball?"),
        (choice(f"{BALL}<|im_end|>"), ""),
        (choice(f"{BALL}<|endoftext|><|im_start|>assistant\n{BALL}"), ""),
    ],
)
def test_a_caption_has_none_of_it(ask, server, reply, reasoning):
    (outcome,) = ask(reply)
    assert [(answer.text, answer.reasoning) for answer in outcome.answers] == [(BALL, reasoning)]
    server.stop()
    assert ask() == [outcome]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (choice("<think>\nLet me look at every", "length"), CUT_WHILE_THINKING),
        (choice(None, "length", reasoning_content="long thought"), CUT_WHILE_THINKING),
        (choice(None, reasoning_content="long thought"), "the model's answer is empty: it thought, and said nothing"),
        (choice("<think>so</think>"), "the model's answer is empty: it thought, and said nothing"),
    ],
)
def test_nothing_else_is_an_empty_answer_that_says_why(ask, server, reply, why):
    (outcome,) = ask(reply)
    assert outcome.failure.code == "EMPTY_ANSWER"
    assert outcome.failure.message.startswith(why)
    assert ask() == [outcome]
    assert asked(server) == 0
    (again,) = ask(choice(BALL), retry_rejected=True)
    assert again.answers[0].text == BALL


def test_the_journal_keeps_what_came(ask, tmp_path):
    ask(choice(f"<think>hm</think>{BALL}<|im_end|>", reasoning_content="A ball?"))
    with closing(sqlite3.connect(tmp_path / "j")) as database:
        (content,) = [json.loads(text) for (text,) in database.execute("SELECT entry FROM answers") if "finish_reason" in text]
    assert (content["text"], content["reasoning"]) == (f"<think>hm</think>{BALL}<|im_end|>", "A ball?")


def test_a_key_in_reasoning_is_hidden(ask, tmp_path):
    (outcome,) = ask(choice(BALL, reasoning_content=f"the key is {KEY}"))
    assert outcome.answers[0].reasoning == "the key is ***"
    assert all(KEY.encode() not in file.read_bytes() for file in tmp_path.glob("j*"))


class TestCutWithoutAMark:
    """`Let me look at` may be a caption that was cut, or a thought that the template began."""

    CUT, ENDED = choice("Let me look at", "length"), choice(f"hm\n</think>\n{BALL}")

    @pytest.fixture(autouse=True)
    def two(self, monkeypatch) -> None:
        monkeypatch.setitem(globals(), "COUNT", 2)

    def test_is_kept_where_nothing_tells(self, ask):
        first, _ = ask(self.CUT, choice(BALL))
        assert (first.answers[0].text, first.answers[0].finish_reason) == ("Let me look at", "length")

    def test_is_a_thought_once_another_answer_has_ended_one(self, ask):
        ended, cut = ask(self.ENDED, self.CUT)
        assert ended.answers[0].text == BALL
        assert cut.failure.message.startswith(CUT_WHILE_THINKING)

    def test_and_that_is_remembered(self, ask, server):
        first, _ = ask(self.CUT, self.ENDED)
        assert first.answers[0].text == "Let me look at"
        server.stop()
        first, second = ask()
        assert first.failure.code == "EMPTY_ANSWER"
        assert second.answers[0].text == BALL

    def test_an_answer_that_ended_by_itself_is_none(self, ask):
        _, plain = ask(self.ENDED, choice("A ball."))
        assert plain.answers[0].text == "A ball."


def test_one_candidate_that_only_thought_keeps_its_place(server, clips):
    server.script = lambda body: (
        said(f"<think>hm</think>{BALL}", choice("<think>hm", "length")) if "n" in body else obliging(body)
    )
    request = about(server, clips.paths[0], candidates=2, sampling=Sampling(temperature=0.8))
    (outcome,) = core.ask([request])
    assert [answer.text for answer in outcome.answers] == [BALL, ""]
