"""Several servers and the journal: answers belong to the model, whichever server gave them, and none is asked for again."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_server import QUICK, Reply, ScriptedServer, obliging, said

from juicecap.errors import EnvironmentFailure
from juicecap.vlm.backends.openai import backend, pooled_server
from juicecap.vlm.base import Limits, Message, Outcome, Part, Request, Sampling
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline import core

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("closed")]

HOT = Sampling(temperature=0.8, max_tokens=40)


@pytest.fixture
def other(server: ScriptedServer) -> Iterator[ScriptedServer]:
    """A second server."""
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


@pytest.fixture
def ask(tmp_path: Path) -> Callable[..., list[Outcome]]:
    def run(requests: list[Request], limits: Limits = core.DEFAULT_LIMITS) -> list[Outcome]:
        core.close()
        with Journal(tmp_path / "j") as journal:
            return core.ask(requests, limits, journal)

    return run


def about(paths: list[str], *servers: ScriptedServer, prompts: int = 1, transport: str = "images") -> list[Request]:
    bases = tuple(server.base for server in servers)
    model = replace(servers[0].settings(transport=transport), api_base=bases if len(bases) > 1 else bases[0])
    return [
        Request(model=model, messages=(Message("user", (Part("video", path), Part("text", f"What? {number}"))),), sampling=HOT)
        for number in range(prompts)
        for path in paths
    ]


def seeded(body: dict[str, Any]) -> Reply:
    return said(f"seed {body.get('seed')}", prompt_tokens=10 + 30 * (len(json.dumps(body)) > 300))


def asked(*servers: ScriptedServer) -> list[int]:
    """The seeds of the questions that reached these servers, which tell the questions apart."""
    return [seen.body["seed"] for server in servers for seen in server.seen if "What?" in json.dumps(seen.body["messages"])]


@pytest.mark.parametrize("transport", ["auto", "images"])
def test_a_list_that_grows_asks_nothing_again(server, other, clips, ask, transport):
    server.script = other.script = seeded
    paths = clips.paths[:3]
    first = ask(about(paths, server, transport=transport))
    server.seen = []
    assert ask(about(paths, server, other, transport=transport)) == first
    assert ask(about(paths, other, transport=transport)) == first
    assert (server.seen, other.seen) == ([], [])
    more = ask(about(clips.paths[:5], other, server, transport=transport))
    assert more[:3] == first
    assert sorted(asked(server, other)) == sorted(outcome.seed for outcome in more[3:])


def test_each_server_takes_as_many_as_the_recipe_says(server, other, clips, ask):
    server.script = other.script = lambda body: Reply(seeded(body).body, hang=0.5 if "seed" in body else 0.0)
    ask(about(clips.paths[:6], server, other, prompts=2), Limits(in_flight=3))
    assert (server.most_at_once, other.most_at_once) == (3, 3)


def test_what_was_answered_before_all_died_is_not_asked_again(server, other, clips, ask, monkeypatch):
    monkeypatch.setattr(pooled_server, "SILENCE", 0.5)
    answered: list[int] = []

    def dying(body: dict[str, Any]) -> Reply:
        if "What?" not in json.dumps(body["messages"]):
            return obliging(body)
        if len(answered) >= 20:
            for each in (server, other):
                threading.Thread(target=each.stop).start()
            return Reply(hang=60)
        answered.append(body["seed"])
        return seeded(body)

    server.script = other.script = dying
    requests = about(clips.paths, server, other, prompts=4)
    with pytest.raises(EnvironmentFailure, match="none of the 2 servers is there"):
        ask(requests, Limits(in_flight=2))
    with contextlib.ExitStack() as held:
        again = [ScriptedServer(each.port) for each in (server, other)]
        for each in again:
            held.callback(each.stop)
            each.script = seeded
        outcomes = ask(requests)
    assert [outcome.answers[0].text for outcome in outcomes] == [f"seed {outcome.seed}" for outcome in outcomes]
    assert sorted(answered + asked(*again)) == sorted(outcome.seed for outcome in outcomes)
    assert len(answered) == 20


def test_one_that_dies_and_comes_back_in_a_run(server, other, clips, ask, monkeypatch):
    """No answer is lost, and only what the dead one had is asked twice."""
    monkeypatch.setattr(backend, "RetryPolicy", lambda **_: QUICK)
    revived: list[ScriptedServer] = []

    def die_and_return() -> None:
        server.stop()
        revived.append(ScriptedServer(server.port))
        revived[0].script = slow

    def slow(body: dict[str, Any]) -> Reply:
        return Reply(seeded(body).body, hang=0.1 if "What?" in json.dumps(body["messages"]) else 0.0)

    def dying(body: dict[str, Any]) -> Reply:
        if len(asked(server)) == 7:
            threading.Thread(target=die_and_return).start()
        return slow(body) if len(asked(server)) < 6 else Reply(seeded(body).body, hang=60)

    server.script, other.script = dying, slow
    outcomes = ask(about(clips.paths, server, other, prompts=6), Limits(in_flight=2))
    revived[0].stop()
    assert [outcome.answers[0].text for outcome in outcomes] == [f"seed {outcome.seed}" for outcome in outcomes]
    assert asked(revived[0]), "it is used again"
    everything = asked(server, other, *revived)
    assert set(everything) == {outcome.seed for outcome in outcomes}
    assert len(everything) - len(outcomes) <= 2
