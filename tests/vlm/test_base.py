"""Requests: what their keys are made of, and seeds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from juicecap.errors import SampleError
from juicecap.media.sampling import FrameSampling
from juicecap.vlm.base import Answer, Failure, Message, ModelSettings, Outcome, Part, Request, Sampling, digest_of

REQUEST = Request(
    model=ModelSettings(model="m"),
    messages=(Message("system", (Part("text", "brief"),)), Message("user", (Part("video", "a.mp4"), Part("text", "P")))),
)
DIGESTS = {"a.mp4": "d1", "b.mp4": "d2", "copy.mp4": "d1"}


def asked(video: str = "a.mp4", text: str = "P", system: str = "brief", kind: str = "video") -> Request:
    user = Message("user", (Part(kind, video), Part("text", text)))
    return replace(REQUEST, messages=(Message("system", (Part("text", system),)), user))


@pytest.mark.parametrize(
    "other",
    [
        asked(video="b.mp4"),
        asked(text="Q"),
        asked(system="long"),
        asked(kind="image"),
        replace(REQUEST, messages=REQUEST.messages[1:]),
        replace(REQUEST, messages=(Message("user", REQUEST.messages[0].parts), REQUEST.messages[1])),
        replace(REQUEST, messages=(REQUEST.messages[0], Message("user", REQUEST.messages[1].parts[::-1]))),
        *(
            replace(REQUEST, frames=FrameSampling(**change))
            for change in (
                {"fps": 1.0},
                {"num_frames": 3},
                {"min_frames": 2},
                {"max_frames": 7},
                {"start": 1.0},
                {"end": 1.0},
                {"min_pixels": 5},
                {"max_pixels": 5},
            )
        ),
        *(
            replace(REQUEST, sampling=Sampling(**change))
            for change in (
                {"temperature": 1.0},
                {"top_p": 0.5},
                {"top_k": 3},
                {"min_p": 0.1},
                {"max_tokens": 5},
                {"repetition_penalty": 1.1},
                {"presence_penalty": 0.1},
                {"stop": ("x",)},
            )
        ),
    ],
)
def test_whatever_changes_the_answer_changes_the_key(other):
    assert other.key(DIGESTS, "engine") != REQUEST.key(DIGESTS, "engine")


def test_another_engine_or_another_content_is_another_key():
    key = REQUEST.key(DIGESTS, "engine")
    assert REQUEST.key(DIGESTS, "other engine") != key
    assert REQUEST.key({"a.mp4": "d9"}, "engine") != key
    assert len(key) == 32


@pytest.mark.parametrize("other", [asked(video="copy.mp4"), replace(REQUEST, candidates=5), replace(REQUEST, seed=3)])
def test_name_candidates_and_seed_do_not_change_the_key(other):
    assert other.key(DIGESTS, "engine") == REQUEST.key(DIGESTS, "engine")


def test_seeds_follow_from_the_recipes_seed_and_the_key():
    seeds = {replace(REQUEST, seed=seed).derived_seed(key) for seed in range(20) for key in ("k1", "k2")}
    assert len(seeds) == 40
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert REQUEST.derived_seed("k1") == int(digest_of([0, "k1"])[:8], 16) >> 1 == 1063921817


def test_media_in_the_order_in_which_the_model_meets_them():
    request = replace(REQUEST, messages=(Message("user", (Part("image", "p"), Part("text", "x"), Part("video", "v"))),) * 2)
    assert request.media() == [Part("image", "p"), Part("video", "v")] * 2


def test_digests_know_facts_not_their_order():
    assert digest_of({"a": 1, "b": [True, None]}) == digest_of({"b": [True, None], "a": 1})
    assert digest_of("\udcff") != digest_of("?")


def test_a_failure_is_raised_as_it_is():
    Outcome(answers=(Answer(text="a", finish_reason="stop", tokens=1, seed=0),)).raise_failure()
    with pytest.raises(SampleError) as caught:
        Outcome(failure=Failure(code="DOWN", message="server gone", retryable=True)).raise_failure()
    assert (caught.value.code, caught.value.message, caught.value.retryable) == ("DOWN", "server gone", True)
