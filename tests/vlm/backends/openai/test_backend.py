"""From a request that names a clip to what the server said, through the core."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from scripted_server import KEY, obliging, refused, said

from juicecap.errors import EnvironmentFailure
from juicecap.ops import VideoCaptioningFromVLMMapper
from juicecap.vlm.base import Message, Part, Request
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.usefixtures("closed")


def asked(server, path, **params) -> Request:
    return Request(
        model=server.settings(**params), messages=(Message("user", (Part("video", str(path)), Part("text", "What?"))),)
    )


def sent(server) -> list[list[str]]:
    """The media of the requests that came after the trial, by their type."""
    return [
        [part[part["type"]]["url"].partition(";")[0] for part in seen.body["messages"][-1]["content"] if part["type"] != "text"]
        for seen in server.seen[2:]
    ]


def test_frames_of_a_clip(server, clips):
    outcomes = core.ask([asked(server, path) for path in clips.paths[:5]])
    assert [outcome.answers[0].text for outcome in outcomes] == ["caption 0"] * 5
    assert {len(outcome.frame_times[0]) for outcome in outcomes} == {4}
    assert sent(server) == [["data:image/jpeg"] * 4] * 5


def test_a_file_is_sent_only_if_it_is_a_video(server, clips, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_text("password: hunter2\n" * 100)
    good, bad, gone = core.ask(
        [asked(server, path, transport="file") for path in (clips.paths[0], secret, tmp_path / "gone.mp4")]
    )
    assert good.answers[0].text == "caption 0"
    assert [each.failure.code for each in (bad, gone)] == ["UNREADABLE", "FILE_NOT_FOUND"]
    assert sent(server) == [["data:video/mp4"]]
    url = server.seen[-1].body["messages"][-1]["content"][0]["video_url"]["url"]
    assert base64.b64decode(url.partition(",")[2]) == Path(clips.paths[0]).read_bytes()


def test_the_same_clip_has_the_same_seed_whatever_else_is_asked(server, clips):
    first = core.ask([asked(server, clips.paths[0])])[0].seed
    again = [outcome.seed for outcome in core.ask([asked(server, path) for path in clips.paths[:3][::-1]])]
    assert again[2] == first
    assert len({*again}) == 3


def test_an_op(server, clips):
    op = VideoCaptioningFromVLMMapper(
        hf_model="served-model",
        backend="openai",
        api_base=server.base,
        api_key_env="SCRIPTED_KEY",
        caption_num=3,
        keep_candidate_mode="all",
        caption_field="caption",
    )
    server.script = lambda body: said("one", "", "two") if body.get("n") == 3 else obliging(body)
    made = op({"videos": [[path] for path in clips.paths[:2]]})
    assert [caption for captions in made["caption"] for caption in captions] == ["one", "two"] * 2
    assert KEY not in str(made)


def test_a_run_ends_when_the_key_is_revoked(server, clips):
    core.ask([asked(server, clips.paths[0])])
    server.script = [refused(401, "revoked")]
    with pytest.raises(EnvironmentFailure, match="refuses access"):
        core.ask([asked(server, path) for path in clips.paths])
