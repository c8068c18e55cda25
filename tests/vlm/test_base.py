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
                {"picture_fps": 5.0},
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


def test_a_medium_with_frames_of_its_own_has_another_key():
    part = Part("video", "a.mp4", frames=FrameSampling(fps=1.0))
    own = replace(REQUEST, messages=(REQUEST.messages[0], Message("user", (part, Part("text", "P")))))
    assert own.key(DIGESTS, "engine") != REQUEST.key(DIGESTS, "engine")
    assert own.key(DIGESTS, "engine") != replace(REQUEST, frames=part.frames).key(DIGESTS, "engine")
    as_the_op = replace(part, frames=REQUEST.frames)
    same = replace(REQUEST, messages=(REQUEST.messages[0], Message("user", (as_the_op, Part("text", "P")))))
    assert same.key(DIGESTS, "engine") == REQUEST.key(DIGESTS, "engine")


def of(part: Part) -> Request:
    return replace(REQUEST, messages=(REQUEST.messages[0], Message("user", (part, Part("text", "P")))))


def test_a_part_of_a_film_has_one_key_however_it_is_spelled():
    spellings = ["a.mp4#t=12.5,20", "a.mp4#t=npt:12.5,20", "copy.mp4#t=0:00:12.5,0:00:20.0"]
    parts = [Part("video", each).located() for each in spellings]
    assert [part.value for part in parts] == ["a.mp4", "a.mp4", "copy.mp4"]
    assert {part.label for part in parts[:2]} == {"a.mp4#t=12.5,20"}
    assert parts[0].files() == [Part("video", "a.mp4")]
    assert parts[0].at({"a.mp4": "b.mp4"}).label == "b.mp4#t=12.5,20"
    (key,) = {of(part).key(DIGESTS, "engine") for part in parts}
    others = [Part("video", each).located() for each in ("a.mp4#t=12.5,21", "a.mp4#t=12.5", "b.mp4#t=12.5,20", "a.mp4")]
    assert len({key, *(of(part).key(DIGESTS, "engine") for part in others)}) == 5


def test_a_part_that_is_all_of_its_film_has_the_key_of_the_film():
    assert Part("video", "a.mp4#t=0").located() == Part("video", "a.mp4")
    assert of(Part("video", "a.mp4#t=0:00").located()).key(DIGESTS, "engine") == REQUEST.key(DIGESTS, "engine")


@pytest.mark.parametrize("part", [Part("image", "a.png#t=1,2"), Part("video", "b.png", pictures=("b.png", "a.png#t=1,2"))])
def test_a_picture_has_no_part(part):
    with pytest.raises(SampleError) as caught:
        part.located()
    assert str(caught.value) == "PART_OF_PICTURE: a.png#t=1,2 is a picture, which has no part in time"


def test_a_text_is_no_path():
    assert Part("text", "see film.mp4#t=9,1").located() == Part("text", "see film.mp4#t=9,1")


def test_a_film_of_pictures_is_what_its_pictures_are_in_order():
    def film(*pictures: str) -> Request:
        part = Part("video", pictures[0], pictures=pictures)
        return replace(REQUEST, messages=(Message("user", (part, Part("text", "P"))),))

    digests = {"1.png": "d1", "2.png": "d2", "copy.png": "d1"}
    key = film("1.png", "2.png").key(digests, "engine")
    assert film("copy.png", "2.png").key(digests, "engine") == key
    alone = replace(REQUEST, messages=(Message("user", (Part("video", "1.png"), Part("text", "P"))),))
    others = [film("2.png", "1.png"), film("1.png"), alone]
    assert len({key, *(each.key(digests, "engine") for each in others)}) == 4
    moved = film("1.png", "2.png").with_media({"2.png": "/tmp/x", "P": "Q"}).messages[0].parts
    assert moved == (Part("video", "1.png", pictures=("1.png", "/tmp/x")), Part("text", "P"))
    assert [file.value for file in film("1.png", "2.png").files()] == ["1.png", "2.png"]
    assert [film(*digests).media()[0].label, film("1.png").media()[0].label] == ["1.png and 2 more pictures", "1.png"]


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
