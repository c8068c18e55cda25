"""What a server does not take is learnt from its refusal, left out, kept, and said once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_server import KEY_NAME, Reply, obliging, refused

from juicecap.errors import ModelError
from juicecap.ops.mapper.video_captioning_from_vlm_mapper import VideoCaptioningFromVLMMapper
from juicecap.vlm.backends.openai.lessons import ServerLessons
from juicecap.vlm.base import Message, ModelSettings, Part, Request, Sampling
from juicecap.vlm.journal import Journal
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.usefixtures("closed")

GREEDY = refused(
    400,
    "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    param="temperature",
    code="unsupported_value",
)
NO_TOP_P = refused(
    400, "Unsupported parameter: 'top_p' is not supported with this model.", param="top_p", code="unsupported_parameter"
)
NOT_BOTH = refused(
    400, "`temperature` and `top_p` cannot both be specified for this model. Please use only one.", code="invalid_request_error"
)
NO_SEED = refused(400, 'Invalid JSON payload received. Unknown name "seed": Cannot find field.')
NO_LIMIT = refused(
    400,
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    param="max_tokens",
    code="unsupported_parameter",
)

LIKE_GPT_5 = {"temperature": GREEDY, "top_p": NO_TOP_P, "max_tokens": NO_LIMIT}


def refusing(refusals: dict[str, Reply]) -> Callable[[dict[str, Any]], Reply]:
    """A server that refuses requests which hold any of these; `a+b`: both."""

    def script(body):
        for names, refusal in refusals.items():
            if all(name in body for name in names.split("+")) and not (refusal is GREEDY and body["temperature"]):
                return refusal
        return obliging(body)

    return script


@pytest.fixture
def caption(server, clips, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """The provenance of the captions of some clips, of a run that starts anew."""

    def run(count: int = 1, **options) -> list[dict[str, Any]]:
        core.close()
        server.seen = []
        op = VideoCaptioningFromVLMMapper(
            hf_model="served-model",
            backend="openai",
            api_base=server.base,
            api_key_env=KEY_NAME,
            model_params={"transport": "images"},
            caption_field="caption",
            **options,
        )
        with Journal(tmp_path / "j") as journal:
            op.describe_engines(journal)
            samples = [{"videos": [path], "text": ""} for path in clips.paths[:count]]
            fates = list(op.stream(samples, journal=journal))
        assert [fate.failure for fate in fates] == [None] * count
        return [entry for fate in fates for entry in fate.outputs[0]["caption_provenance"]]

    return run


def sampling_of(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("model", "messages", "n", "max_tokens")}


def questions(server) -> list[dict[str, Any]]:
    """Bodies of requests that are no trials."""
    return [seen.body for seen in server.seen if "Describe" in str(seen.body["messages"][-1]["content"][-1])]


class TestRequests:
    def test_have_nothing_that_nobody_set(self, server, caption):
        caption()
        assert [sampling_of(body) for body in questions(server)] == [{"temperature": 0.0}]

    def test_have_what_the_recipe_sets(self, server, caption):
        caption(sampling_params={"temperature": 0.5, "top_p": 1.0, "stop": ["END"]}, seed=3)
        (body,) = questions(server)
        assert sampling_of(body) == {"temperature": 0.5, "top_p": 1.0, "stop": ["END"], "seed": body["seed"]}

    def test_trials_are_like_them(self, server, caption):
        caption(sampling_params={"temperature": 0.5, "max_tokens": 77})
        trials = [seen.body for seen in server.seen[:2]]
        assert [{*sampling_of(body)} for body in trials] == [{"temperature", "seed"}] * 2
        assert trials[0]["max_tokens"] == 77


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("refusals", "options", "sent", "left_out"),
        [
            (LIKE_GPT_5, {}, {"max_completion_tokens"}, {"temperature"}),
            (LIKE_GPT_5, {"caption_num": 2}, {"temperature", "seed", "max_completion_tokens"}, {"top_p"}),
            ({"temperature+top_p": NOT_BOTH}, {"caption_num": 2}, {"temperature", "seed"}, {"top_p"}),
            ({"temperature+top_p": NOT_BOTH}, {"sampling_params": {"top_p": 0.9}}, {"top_p"}, {"temperature"}),
            ({"seed": NO_SEED}, {"sampling_params": {"temperature": 0.5}}, {"temperature"}, {"seed"}),
            (
                {"seed": Reply({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]}, 422)},
                {"sampling_params": {"temperature": 0.5}},
                {"temperature"},
                {"seed"},
            ),
        ],
    )
    def test_is_left_out_and_said_once(self, server, caption, said, refusals, options, sent, left_out):
        server.script = refusing(refusals)
        told = caption(3, **options)
        assert [{*sampling_of(body)} for body in questions(server)] == [sent] * 3  # learnt by the trial
        assert all(not left_out & json.loads(entry["sampling"]).keys() for entry in told)
        assert [entry["seed"] is None for entry in told] == ["seed" in left_out] * 3
        (name,) = left_out
        assert len([line for line in said if f"does not take {name} (HTTP 4" in line]) == 1

    @pytest.mark.parametrize(
        ("refusals", "options", "words"),
        [
            (
                {"temperature": GREEDY},
                {"sampling_params": {"temperature": 0}},
                "temperature as set in the recipe (HTTP 400: Unsupported",
            ),
            ({"top_p": NO_TOP_P}, {"sampling_params": {"top_p": 0.9}}, "top_p as set in the recipe (HTTP 400: Unsupported"),
            ({"seed": NO_SEED}, {"sampling_params": {"temperature": 1}, "seed": 5}, "seed as set in the recipe (HTTP 400: Inv"),
            (
                {"temperature+top_p": NOT_BOTH},
                {"sampling_params": {"temperature": 0.5, "top_p": 0.9}},
                "temperature and top_p as set in the recipe (HTTP 400: `temp",
            ),
            (
                {"max_tokens": NO_LIMIT, "max_completion_tokens": refused(400, "Unknown parameter: 'max_completion_tokens'")},
                {},
                "takes neither max_tokens nor max_completion_tokens: HTTP 400: Unknown parameter",
            ),
            (
                {"max_tokens": refused(400, "max_tokens: 512 exceeds 256")},
                {},
                "refuses max_tokens 512 (HTTP 400: max_tokens: 512 exceeds 256): set another one in sampling_params",
            ),
        ],
    )
    def test_and_was_asked_for_by_name_is_a_problem(self, server, caption, refusals, options, words):
        server.script = refusing(refusals)
        with pytest.raises(ModelError) as caught:
            caption(**options)
        assert words in str(caught.value)
        assert questions(server) == []


class TestTheJournal:
    def test_needs_no_server_to_replay(self, server, caption):
        server.script = refusing(LIKE_GPT_5)
        first = caption(2)
        server.stop()
        assert caption(2) == first

    def test_knows_answers_by_what_was_sent(self, server, caption):
        """A service that takes all is another one, though it has the same name."""
        server.script = refusing(LIKE_GPT_5)
        caption()
        (entry,) = caption(1)
        assert "temperature" not in json.loads(entry["sampling"])
        assert questions(server) == []

    def test_keeps_answers_of_before_a_lesson(self, server, caption):
        caption(2)
        server.script = refusing(LIKE_GPT_5)
        first = caption(3)
        assert [{*sampling_of(body)} for body in questions(server)] == [{"max_completion_tokens"}]
        assert ["temperature" in json.loads(entry["sampling"]) for entry in first] == [True, True, False]
        server.stop()
        assert caption(3) == first

    def test_the_seed_is_the_same_whatever_is_left_out(self, server, caption):
        options = {"sampling_params": {"temperature": 0.5}}
        caption(2, **options)
        seeds = [body["seed"] for body in questions(server)]
        core.close()
        request = Request(model=ModelSettings(model="m"), messages=(Message("user", (Part("text", "?"),)),))
        assert request.entry_key("k", "") != request.entry_key("k", "", ["seed"])
        assert len({*seeds}) == 2


class TestPins:
    def test_tell_what_was_learnt(self):
        lessons = ServerLessons()
        assert lessons.pinned("images") == "images"
        lessons.learn("temperature", 0.0)
        lessons.learn("seed")
        transport, again = ServerLessons.of_pin(lessons.pinned("images"))
        assert transport == "images"
        assert again.without({"temperature": 0.0, "seed": 3, "top_p": 0.9}, ()) == {"top_p": 0.9}
        assert again.without({"temperature": 1.0, "seed": 3}, ("seed",)) == {"temperature": 1.0, "seed": 3}

    @pytest.mark.parametrize("pin", ["images", "images {", "images []", 'images {"refused": 3}', 'images {"refused": {"a": 1}}'])
    def test_that_say_something_else_teach_nothing(self, pin):
        transport, lessons = ServerLessons.of_pin(pin)
        assert transport == "images"
        assert lessons.without({"a": 1}, ()) == {"a": 1}

    def test_a_value_is_refused_alone(self):
        lessons = ServerLessons()
        lessons.learn("temperature", 0.0)
        one = Request(model=ModelSettings(model="m"), messages=(), sampling=Sampling(temperature=1.0))
        assert lessons.unsent(one) == ()
