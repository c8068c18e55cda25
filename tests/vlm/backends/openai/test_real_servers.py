"""Two real vLLM servers that serve the demo model, of which one is killed in the midst."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import juicecap
from juicecap.errors import EnvironmentFailure
from juicecap.vlm.base import Message, ModelSettings, Outcome, Part, Request, Sampling, canonical_json
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline import core

pytest.importorskip("openai", reason='the openai backend needs its client: pip install "juicecap[openai]"')
pytest.importorskip("vllm", reason="needs a vLLM to serve the demo model; the CI's vLLM lane has one")

from vllm_served import KEY, KEY_NAME, Served, serving

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("closed")]

PROMPT = "\nDescribe the input video in 1-2 sentences.\n"
DEMO_CLIPS = Path(juicecap.__file__).parents[1] / "recipes" / "clips"
CAPTIONS = {
    name: said["caption"] for name, said in json.loads((Path(__file__).parents[3] / "demo_clips.json").read_text()).items()
}
ROUNDS = 8
"""Questions about each clip, which differ in how long the answer may be at most: each is right with the same caption."""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Served, Served]]:
    with serving("--trust-request-mm-kwargs") as one, serving("--trust-request-mm-kwargs") as other:
        yield one, other


def questions(*servers: Served) -> list[Request]:
    settings = ModelSettings(
        backend="openai",
        model="demo",
        params=canonical_json({"max_attempts": 3}),
        api_base=tuple(server.base for server in servers) if len(servers) > 1 else servers[0].base,
        api_key_env=KEY_NAME,
    )
    return [
        Request(
            model=settings,
            messages=(Message("user", (Part("video", str(DEMO_CLIPS / name)), Part("text", PROMPT))),),
            sampling=Sampling(max_tokens=64 + number),
        )
        for number in range(ROUNDS)
        for name in CAPTIONS
    ]


def answered(servers: tuple[Served, ...], journal: Journal, *, kill: Served | None = None) -> list[Outcome]:
    """What becomes of all questions; one server is killed once an eighth of them are answered."""
    asks = questions(*servers)
    with core.window(journal) as window:
        queue = window.queue(core.DEFAULT_LIMITS)
        tickets = [window.submit(queue, [each]) for each in asks]
        window.flush(queue)
        while not all(ticket.done for ticket in tickets):
            window.wait()
            if kill and sum(ticket.done for ticket in tickets) >= len(asks) // 8:
                kill.kill()
                kill = None
        assert kill is None, "it was killed in the midst"
        return [outcome for ticket in tickets for outcome in ticket.outcomes()]


@pytest.mark.timeout(900)
def test_one_is_killed_in_the_midst_and_nothing_is_lost(servers, tmp_path, monkeypatch, said_anywhere):
    monkeypatch.setenv(KEY_NAME, KEY)
    one, other = servers
    with Journal(tmp_path / "j") as journal:
        outcomes = answered((one, other), journal, kill=one)
    assert [outcome.answers[0].text for outcome in outcomes] == [CAPTIONS[name] for _ in range(ROUNDS) for name in CAPTIONS]
    assert any(told.startswith(f"{one.base} no longer answers") for told in said_anywhere)
    core.close()
    other.kill()
    with Journal(tmp_path / "j") as journal:
        for asked in ((one, other), (other,)):  # it needs no server, and not the same list either
            assert answered(asked, journal) == outcomes
        with pytest.raises(EnvironmentFailure, match="none of the 2 servers is there"):
            core.ask(
                [Request(model=questions(one, other)[0].model, messages=(Message("user", (Part("text", "?"),)),))],
                journal=journal,
            )
