"""The op for pictures in DataFlow's shape, on the demo model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from juicecap.errors import SampleError
from juicecap.ops import ImageCaptionGenerator

pytestmark = pytest.mark.model

DEMO = "juicecap-demo-vlm"
RECIPES = Path(__file__).parents[3] / "recipes"
IMAGES = json.loads((Path(__file__).parents[2] / "demo_images.json").read_text())
PROMPT = "Please describe the image in detail."


def generator(**settings: Any) -> ImageCaptionGenerator:
    return ImageCaptionGenerator(**{"hf_model": DEMO, "system_prompt": "You are a helpful assistant.", **settings})


def asked(op: ImageCaptionGenerator, sample: dict[str, Any]) -> list[tuple[str, list[str]]]:
    (request,) = op.requests(sample)
    return [(each.role, [part.value for part in each.parts]) for each in request.messages]


def rejected(op: ImageCaptionGenerator, sample: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(SampleError) as caught:
        op.requests(sample)
    return caught.value.code, caught.value.message


def test_signature():
    with pytest.raises(TypeError, match="system_prompt"):
        ImageCaptionGenerator()
    op = ImageCaptionGenerator(system_prompt="S")
    assert (op.input_modal_key, op.output_key, op.prompt) == ("image", "output", None)
    assert op.columns_refused() == (("output_key", "output"),)


def test_the_demo_pictures_are_captioned_right():
    paths = [str(RECIPES / "images" / name) for name in IMAGES]
    out = generator()({"image": [[path] for path in paths]})
    assert out["output"] == [each["caption"] for each in IMAGES.values()]
    assert list(out) == ["image", "output"]


def test_the_conversation_is_asked_and_not_changed():
    paths = [str(RECIPES / "images" / name) for name in IMAGES][:5]  # the sixth it calls blue
    turns = [{"from": "human", "value": "<image>\nWhat color is the object?"}, {"from": "gpt", "value": "I forgot."}]
    out = generator()({"image": paths, "conversation": [turns] * len(paths)})
    assert out["output"] == [each["color"] for each in IMAGES.values()][:5]
    assert out["conversation"] == [turns] * len(paths)


def test_the_caption_may_become_the_answer(outcome):
    op = generator(conversation_answer="replace")
    talk = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "old"}]
    sample = {"image": "a.png", "conversation": talk}
    (out,) = op.process(sample, [replace(outcome("new"), request=op.requests(sample)[0])])
    assert out == {"image": "a.png", "conversation": [talk[0], {"from": "gpt", "value": "new"}], "output": "new"}
    (out,) = op.process({"image": "a.png"}, [outcome("new")])
    assert out["conversation"] == [
        {"from": "human", "value": "Please describe the image in detail."},
        {"from": "gpt", "value": "new"},
    ]
    assert list(op.columns_written()) == ["conversation", "output"]
    assert list(generator().columns_written()) == ["output"]


@pytest.mark.parametrize("conversation", [{}, {"conversation": None}, {"conversation": []}, {"conversation": ""}])
def test_the_prompt_where_there_is_no_conversation(conversation):
    sample = {"image": "a.png", **conversation}
    assert asked(generator(), sample)[1] == ("user", ["a.png", PROMPT])
    assert asked(generator(prompt="Why? {x}"), sample)[1] == ("user", ["a.png", "Why? {x}"])


def test_an_empty_turn_asks_nothing_by_itself():
    assert asked(generator(), {"image": "a.png", "conversation": [{"from": "human", "value": "<image>"}]})[1][1][1] == PROMPT


def test_messages():
    assert asked(generator(), {"image": ["a.png", "b.png"]}) == [
        ("system", ["You are a helpful assistant."]),
        ("user", ["a.png", "b.png", PROMPT]),
    ]
    assert asked(generator(system_prompt=""), {"image": "a.png"}) == [("user", ["a.png", PROMPT])]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    assert asked(generator(input_conversation_key="messages"), {"image": "a.png", "messages": turns}) == [
        ("system", ["Be brief."]),
        ("user", ["a.png", "Why?"]),
    ]


@pytest.mark.parametrize(
    ("sample", "code", "message"),
    [
        ({}, "NO_MEDIA", "there is nothing to caption in 'image'"),
        ({"image": None}, "NO_MEDIA", "there is nothing to caption in 'image'"),
        ({"image": [None, "b.png"]}, "BAD_MEDIA_COLUMN", "column 'image' holds None where a path should be"),
        ({"image": 7}, "BAD_MEDIA_COLUMN", "column 'image' holds 7, not a path or a list of paths"),
        (
            {"image": "a.png", "conversation": [{"from": "human", "value": "<image><image>"}]},
            "MORE_TOKENS_THAN_MEDIA",
            "the conversation has 2 of <image>, and column 'image' holds 1",
        ),
        ({"image": "a.png", "conversation": "x"}, "BAD_CONVERSATION", "column 'conversation' holds 'x', not a list of turns"),
        ({"image": "a.png", "output": "x"}, "OUTPUT_EXISTS", "column 'output' holds something: set overwrite_output: true"),
    ],
)
def test_what_cannot_be_captioned(sample, code, message):
    assert rejected(generator(), sample) == (code, message)


def test_a_picture_that_cannot_be_read_is_rejected_alone(tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    good = str(RECIPES / "images" / "image_00.png")
    fates = generator().fates({"image": [good, str(bad), good]})
    assert [fate.kind for fate in fates] == ["kept", "rejected", "kept"]
    assert fates[1].failure.code == "UNREADABLE"
