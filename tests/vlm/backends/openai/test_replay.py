"""Replay with a server: the way that videos travel is kept with the answers, and no server is needed to replay them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_server import KEY, obliging, refused, said

from juicecap.errors import ModelError
from juicecap.vlm.base import Message, Outcome, Part, Request, Sampling
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline import core

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("closed")]

HOT = Sampling(temperature=0.8, max_tokens=40)


def asked(server, path: str, transport: str = "auto", **more) -> Request:
    messages = (Message("user", (Part("video", path), Part("text", "What?"))),)
    return Request(model=server.settings(transport=transport), messages=messages, **more)


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., list[Outcome]]:
    def run(*requests: Request, **options) -> list[Outcome]:
        core.close()
        with Journal(tmp_path / "j", **options) as journal:
            return core.ask(requests, journal=journal)

    return run


def only(*kinds: str) -> Callable:
    """A server that takes nothing but texts and these kinds of parts."""

    def script(body):
        content = body["messages"][-1]["content"]
        wrong = [part["type"] for part in content if part["type"] not in ("text", *kinds)] if isinstance(content, list) else []
        return refused(400, f"unknown part {wrong[0]}") if wrong else obliging(body)

    return script


def test_answers_are_replayed_though_the_server_is_gone(server, clips, ask):
    """The transport, on which answers depend, was found out by the first run."""
    requests = [asked(server, path) for path in clips.paths[:3]]
    server.script = only("image_url")
    first = ask(*requests)
    assert [outcome.answers[0].text for outcome in first] == ["caption 0"] * 3
    server.stop()
    assert ask(*requests) == first


def test_what_is_asked_later_goes_the_same_way(server, clips, ask):
    """Though the server takes another one by now, which would come first."""
    server.script = only("image_url")
    ask(asked(server, clips.paths[0]))
    server.script, server.seen = obliging, []
    ask(asked(server, clips.paths[0]), asked(server, clips.paths[1]))
    assert [seen.parts()[0] for seen in server.seen] == ["What is this?", "image_url", "image_url"]  # two trials, one question


def test_a_server_that_does_not_take_it_any_more_is_a_sentence(server, clips, ask):
    server.script = only("image_url")
    ask(asked(server, clips.paths[0]))
    server.script = only("video_url")
    with pytest.raises(
        ModelError, match="answers so far were asked for this way: set transport in model_params, or run with --fresh"
    ):
        ask(asked(server, clips.paths[1]))
    assert ask(asked(server, clips.paths[1]), fresh=True)[0].answers


def test_another_transport_is_another_question(server, clips, ask):
    ask(asked(server, clips.paths[0], "images"))
    server.seen = []
    ask(asked(server, clips.paths[0], "frames"))
    assert [seen.parts()[0] for seen in server.seen] == ["What is this?", "video_url", "video_url"]


def test_missing_candidates_are_asked_for_with_their_own_seeds(server, clips, ask):
    def script(body):
        seeds = [body["seed"] + number for number in range(body.get("n", 1))] if "seed" in body else [0]
        return said(*(f"seed {seed}" for seed in seeds), prompt_tokens=10 + 30 * (len(str(body)) > 300))

    server.script = script
    request = asked(server, clips.paths[0], "images", sampling=HOT)
    (few,) = ask(replace(request, candidates=2))
    server.seen = []
    (many,) = ask(replace(request, candidates=5))
    assert [answer.text for answer in many.answers] == [f"seed {few.seed + number}" for number in range(5)]
    assert [(seen.body["n"], seen.body["seed"]) for seen in server.seen if "n" in seen.body] == [(3, few.seed + 2)]


def test_a_missing_candidate_that_is_empty_keeps_its_place(server, clips, ask):
    request = asked(server, clips.paths[0], "images", sampling=HOT)
    ask(request)
    server.script = lambda body: said("") if "What?" in str(body["messages"]) else obliging(body)  # else it is a trial
    (outcome,) = ask(replace(request, candidates=2))
    assert [answer.text for answer in outcome.answers] == ["caption 0", ""]


def test_the_key_stands_nowhere_in_the_journal(server, clips, ask, tmp_path):
    server.script = lambda body: refused(400, f"bad key {KEY}") if "seed" in body else obliging(body)
    ask(asked(server, clips.paths[0]), asked(server, clips.paths[1], sampling=HOT))
    for file in tmp_path.glob("j*"):
        assert KEY.encode() not in file.read_bytes()
