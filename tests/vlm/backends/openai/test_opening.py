"""What is found out when a server is opened, before any sample is touched."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from scripted_server import KEY_NAME, Reply, ScriptedServer, obliging, prepared, refused, said, three

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.media.sizes import FrameSizes
from juicecap.vlm.base import Capabilities, digest_of

UNTRUSTED = (
    "Per-request media_io_kwargs are disabled by default because they can change multimodal media loading resource usage. "
    "Start the server with --trust-request-mm-kwargs only when clients are trusted."
)


def opened(server, **how):
    """The backend, opened and closed again, and its engine."""

    async def story():
        async with server.described(**how) as backend, backend.open() as engine:
            return backend, engine

    return asyncio.run(story())


def transport(server):
    """What a server is found to take."""
    return opened(server, transport="auto")[0].transport_choice


def identity(server, **how):
    return opened(server, **how)[0].identity


def raised(server, kind: type[Exception], **how) -> str:
    with pytest.raises(kind) as error:
        opened(server, **how)
    return str(error.value).replace(server.base, "BASE")


def kinds(body) -> set[str]:
    """How the media of a request travel."""
    content = body["messages"][-1]["content"]
    parts = [] if isinstance(content, str) else content
    return {part[part["type"]]["url"].partition(";")[0][5:] for part in parts if part["type"] != "text"}


def taking(*taken: str, otherwise: Reply | None = None):
    """A server that takes media of these types."""

    def script(body):
        if kinds(body) <= set(taken):
            return obliging(body)
        return otherwise or refused(400, f"cannot read {', '.join(kinds(body))}")

    return script


class TestTrial:
    @pytest.mark.parametrize(
        ("taken", "transport", "tried"),
        [
            (("video/jpeg", "image/jpeg", "video/mp4"), "frames", ["video/jpeg"]),
            (("image/jpeg", "video/mp4"), "images", ["video/jpeg", "image/jpeg"]),
            (("video/mp4",), "file", ["video/jpeg", "image/jpeg", "video/mp4"]),
        ],
    )
    def test_the_first_way_that_is_taken(self, server, taken, transport, tried):
        server.script = taking(*taken)
        assert opened(server, transport="auto")[0].transport_choice == transport
        assert [kinds(seen.body) for seen in server.seen] == [set(), *({each} for each in tried)]
        assert {seen.body["max_tokens"] for seen in server.seen} == {16}

    def test_the_way_that_is_set_is_the_only_one(self, server):
        server.script = taking("image/jpeg", "video/mp4")
        opened(server, transport="file")
        assert [kinds(seen.body) for seen in server.seen] == [set(), {"video/mp4"}]
        assert raised(server, ModelError, transport="frames") == (
            "served-model at BASE takes no video that is sent this way (frames: HTTP 400: cannot read video/jpeg); "
            "leave transport out to have all ways tried"
        )

    def test_no_way_is_taken(self, server):
        server.script = taking()
        assert raised(server, ModelError, transport="auto") == (
            "served-model at BASE takes no video that is sent this way (frames: HTTP 400: cannot read video/jpeg; "
            "images: HTTP 400: cannot read image/jpeg; file: HTTP 400: cannot read video/mp4)"
        )

    def test_a_server_that_drops_what_it_does_not_know_is_found_out(self, server):
        server.script = lambda body: obliging(body) if kinds(body) <= {"image/jpeg"} else said("A video.", prompt_tokens=10)
        assert transport(server) == "images"
        assert "frames: it answers as if nothing had been sent" in raised(server, ModelError, transport="frames")

    def test_a_server_that_does_not_count_is_believed(self, server):
        server.script = [said("A video.", usage=None)]
        assert transport(server) == "frames"

    def test_some_fail_instead_of_refusing(self, server):
        server.script = taking("image/jpeg", otherwise=refused(500, "image input is not supported"))
        assert transport(server) == "images"

    def test_a_server_that_fails_always(self, server):
        server.script = [refused(500, "oops")]
        assert raised(server, EnvironmentFailure) == (
            "BASE fails on every request (images: HTTP 500: oops); running again resumes"
        )

    def test_a_moment_of_weakness(self, server):
        replies = iter([refused(503, "loading")])
        server.script = lambda body: next(replies, None) or obliging(body)
        assert transport(server) == "frames"

    def test_an_empty_answer_is_good_enough(self, server):
        server.script = lambda body: said(None, prompt_tokens=10 + 30 * len(kinds(body)))
        assert transport(server) == "frames"

    def test_vllm_that_does_not_trust_requests(self, server):
        server.script = lambda body: refused(400, UNTRUSTED) if "media_io_kwargs" in body else obliging(body)
        assert transport(server) == "images"


class TestServer:
    def test_a_key_that_is_refused(self, server):
        server.models = refused(401, "Unauthorized")
        assert raised(server, EnvironmentFailure) == (
            f"BASE refuses access (HTTP 401: Unauthorized); check the key in the environment variable {KEY_NAME}"
        )
        assert server.seen == []

    def test_a_key_that_only_the_trial_needs(self, server):
        server.script = [refused(401, "Unauthorized")]
        assert "BASE refuses access" in raised(server, EnvironmentFailure)

    def test_a_model_that_is_not_listed(self, server):
        names = ["gemma-4", "served-modle", "whisper"]
        server.models = Reply({"data": [{"id": name} for name in names]})
        assert raised(server, ModelError) == (
            "BASE has no model 'served-model'; it has served-modle, gemma-4, whisper: name one as hf_model"
        ) or raised(server, ModelError).startswith("BASE has no model 'served-model'; it has served-modle, ")
        assert server.seen == []

    def test_of_many_models_the_nearest_are_named(self, server):
        server.models = Reply({"data": [{"id": f"model-{number}"} for number in range(300)]})
        message = raised(server, ModelError)
        assert message.endswith(" and 280 more: name one as hf_model")
        assert message.count("model-") == 20

    @pytest.mark.parametrize(
        ("listed", "asked"),
        [("models/gemini-3", "gemini-3"), ("qwen2.5vl:latest", "qwen2.5vl"), ("Qwen/Qwen3-VL", "Qwen/Qwen3-VL:fast")],
    )
    def test_names_that_servers_take_otherwise_than_they_list_them(self, server, listed, asked):
        server.models = Reply({"data": [{"id": listed}]})
        opened(server, model=asked)
        assert {seen.body["model"] for seen in server.seen} == {asked}

    @pytest.mark.parametrize(
        "reply", [Reply("not found", 404), Reply("no", 405), Reply("<html>", 200), Reply({"data": "?"}), Reply({"data": []})]
    )
    def test_a_server_without_a_list(self, server, reply):
        server.models = reply
        opened(server)

    def test_a_model_that_only_the_trial_misses(self, server):
        server.models = Reply("not found", 404)
        server.script = [refused(404, "The model `served-model` does not exist.")]
        assert raised(server, ModelError) == (
            "BASE does not serve the model 'served-model' at this address (HTTP 404: The model `served-model` does not exist.): "
            "check hf_model and api_base, which mostly ends in /v1"
        )

    def test_a_server_that_never_answers(self, server):
        server.script = [Reply(hang=9)]
        assert raised(server, EnvironmentFailure, timeout=0.2, max_attempts=2) == (
            "BASE: no server answers (no answer within 0.2 seconds); start it or mend api_base; running again resumes"
        )


class TestWhatFollows:
    def test_abilities(self, server):
        backend, engine = opened(server, transport="images")
        assert (backend.capabilities, engine.max_concurrent_calls) == (Capabilities(sizes=FrameSizes()), 32)
        backend, engine = opened(server, transport="file")
        assert (backend.capabilities, engine.max_concurrent_calls) == (Capabilities(sizes=FrameSizes(), takes_files=True), 8)

    def test_identity_is_what_can_change_answers(self, server):
        plain = identity(server)
        assert identity(server, timeout=5, max_attempts=2) == plain
        server.script = taking("image/jpeg")
        assert identity(server, transport="auto") == plain
        server.script = obliging
        server.models = Reply("", 404)
        others = [{"transport": "frames"}, {"transport": "file"}, {"model": "other"}, {"extra_body": {"top_k": 5}}]
        assert len({plain, *(identity(server, **other) for other in others)}) == 5

    def test_identity_holds_no_address(self, server):
        other = ScriptedServer()
        try:
            assert identity(other) == identity(server)
        finally:
            other.stop()

    def test_what_versions_before_called_it(self, server):
        backend, _ = opened(server, extra_body={"top_k": 5})
        assert backend.legacy_identity() == digest_of(["openai", server.base, "served-model", "images", {"top_k": 5}])

    def test_a_trial_that_teaches_the_name_of_the_limit(self, server):
        def script(body):
            if "max_tokens" in body:
                message = (
                    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
                )
                return refused(400, message, param="max_tokens", code="unsupported_parameter")
            return obliging(body)

        server.script = script
        _, engine = opened(server)
        assert engine._client.limit == "max_completion_tokens"
        assert [sorted(body for body in seen.body if body.startswith("max")) for seen in server.seen] == [
            ["max_tokens"],
            ["max_completion_tokens"],
            ["max_completion_tokens"],
        ]

    @pytest.mark.parametrize(("owner", "sent"), [("vllm", True), ("sglang", True), ("openai", False)])
    def test_servers_with_defaults_of_their_own_are_told_ours(self, server, owner, sent):
        server.models = Reply({"data": [{"id": "served-model", "owned_by": owner}]})
        server.answers(obliging, three())
        neutral = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
        assert {name: server.seen[0].body.get(name) for name in neutral} == (neutral if sent else dict.fromkeys(neutral))

    def test_the_trial_shows_four_different_frames(self, server):
        opened(server, transport="images")
        urls = [
            part["image_url"]["url"] for part in server.seen[-1].body["messages"][0]["content"] if part["type"] == "image_url"
        ]
        assert len(set(urls)) == 4


def test_a_file_cannot_be_cut(server):
    from juicecap.media.picture import MediaFrames
    from juicecap.media.sampling import FrameSampling

    whole = MediaFrames(pixels=np.zeros((0, 0, 0, 3), np.uint8), duration=3.0)
    with pytest.raises(ModelError, match="start and end cannot be kept"):
        server.answers(obliging, prepared(pictures=[whole], frames=FrameSampling(start=1.0)), transport="file")
