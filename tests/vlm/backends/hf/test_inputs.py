"""From requests to tensors."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from jinja2 import Environment, TemplateError

from juicecap.errors import SampleError
from juicecap.media.picture import MediaFrames
from juicecap.vlm.backends.hf.inputs import batched, encode, shape_key
from juicecap.vlm.backends.hf.load import load
from juicecap.vlm.backends.transformers_common.prompt import frames_as_images, neutralised, render, takes_video
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def demo():
    return load(ModelSettings(model="juicecap-demo-vlm"))


def video(frames: int, size: int = 64) -> MediaFrames:
    times = tuple(index / 2 for index in range(frames))
    return MediaFrames(pixels=np.zeros((frames, size, size, 3), np.uint8), times=times, duration=frames / 2)


def prepared(*pictures: MediaFrames, text: str = "P", system: str = "") -> Prepared:
    parts = [Part("video" if picture.times else "image", str(number)) for number, picture in enumerate(pictures)]
    messages = [Message("user", (*parts, Part("text", text)))]
    if system:
        messages.insert(0, Message("system", (Part("text", system),)))
    request = Request(model=ModelSettings(model="m"), messages=tuple(messages))
    return Prepared(request=request, pictures=pictures, seed=0)


def test_the_prompt_as_the_model_reads_it(demo):
    assert render(demo.processor, prepared(video(2), text="What?", system="Be brief.").request) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>What?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


class Stub:
    """A processor of which only the prompt matters."""

    def __init__(self, template: str, demo, **more):
        self.template, self.tokenizer, self.image_token = template, demo.processor.tokenizer, "<image>"
        self.image_processor = self.video_processor = SimpleNamespace(model_input_names=["pixel_values"])
        vars(self).update(more)

    def apply_chat_template(self, turns, **_):
        return Environment(autoescape=False).from_string(self.template).render(turns=turns, raise_exception=self.refuse)

    def refuse(self, message):
        raise TemplateError(message)


KNOWN = "{% for part in turns[0].content %}{{ part.text or '<' + part.type + '>' }}{% endfor %}"
REFUSED = KNOWN.replace("{{", "{% if part.type == 'video' %}{{ raise_exception('no videos') }}{% endif %}{{")


@pytest.mark.parametrize(
    ("stub", "takes"),
    [
        ((KNOWN, {"video_token": "<video>"}), True),
        ((REFUSED, {"video_token": "<video>"}), False),
        (("{{ turns[0].content[1].text }}", {"video_token": "<video>"}), False),
        ((KNOWN, {}), False),
        ((KNOWN, {"video_token": "<video>", "video_processor": None}), False),
    ],
)
def test_videos_have_a_place_or_are_shown_as_images(demo, stub, takes):
    processor = Stub(stub[0], demo, **stub[1])
    assert takes_video(processor) is takes
    film, both = prepared(video(2)).request, prepared(video(2), MediaFrames(pixels=video(1).pixels)).request
    assert frames_as_images(processor, film) is not takes
    assert frames_as_images(processor, both)  # this stub has one name for the pixels of both
    assert not frames_as_images(processor, prepared(MediaFrames(pixels=video(1).pixels)).request)


def test_one_placeholder_for_each_frame(demo):
    request = prepared(video(2), MediaFrames(pixels=video(1).pixels), video(3), text="?").request
    processor = Stub(KNOWN, demo)
    assert render(processor, request, [2, 3]) == "<image>" * 6 + "?"
    assert render(processor, request) == "<video><image><video>?"


def test_placeholders_that_only_the_processor_knows_are_neutralised(demo):
    processor = Stub(KNOWN, demo, global_image_tag="[GLOBAL]", newline_token="\n", space_token="  ", none_token=None)
    assert neutralised("a <image>  [GLOBAL]\n<video>", processor) == "a < image>  [ GLOBAL]\n<video>"


def test_frame_times_reach_the_prompt(demo):
    row = encode(demo, prepared(video(4)))
    text = demo.processor.tokenizer.decode(row["input_ids"][0])
    assert "<0.2 seconds>" in text
    assert "<1.2 seconds>" in text
    assert row["video_grid_thw"].tolist() == [[2, 8, 8]]


@pytest.mark.parametrize(("frames", "steps"), [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_one_frame_and_odd_numbers_of_frames(demo, frames, steps):
    row = encode(demo, prepared(video(frames)))
    assert row["video_grid_thw"].tolist() == [[steps, 8, 8]]


def test_pictures_are_not_scaled_again(demo):
    row = encode(demo, prepared(MediaFrames(pixels=np.zeros((1, 32, 96, 3), np.uint8))))
    assert row["image_grid_thw"].tolist() == [[1, 4, 12]]


def test_control_tokens_are_read_as_text(demo):
    tokenizer = demo.processor.tokenizer
    for token in tokenizer.all_special_tokens:
        text = neutralised(f"a {token}{token} b", demo.processor)
        assert text == f"a {token[0]} {token[1:]}{token[0]} {token[1:]} b"
        assert not set(tokenizer.encode(text)) & set(tokenizer.all_special_ids)
    assert neutralised("<b>plain</b> <|text|>", demo.processor) == "<b>plain</b> <|text|>"


def test_rows_are_padded_on_the_left(demo):
    short, long = (encode(demo, prepared(video(2), text=text)) for text in ("P", "P and some more words"))
    joined = batched([short, long], pad_id=0)
    width = long["input_ids"].shape[1]
    missing = width - short["input_ids"].shape[1]
    assert missing > 0
    assert joined["input_ids"].shape == (2, width)
    assert joined["input_ids"][0, :missing].tolist() == [0] * missing
    assert torch.equal(joined["input_ids"][0, missing:], short["input_ids"][0])
    assert joined["attention_mask"].sum(1).tolist() == [width - missing, width]
    assert joined["video_grid_thw"].tolist() == [[1, 8, 8], [1, 8, 8]]
    assert joined["pixel_values_videos"].shape[0] == 2 * short["pixel_values_videos"].shape[0]


def test_which_requests_fit_into_one_batch(demo):
    two, three, image = (encode(demo, prepared(each)) for each in (video(2), video(3), MediaFrames(pixels=video(1).pixels)))
    assert shape_key(two) == shape_key(three)
    assert shape_key(two) != shape_key(image)


def test_a_processor_that_fails_concerns_its_sample_alone(demo):
    broken = MediaFrames(pixels=np.zeros((2, 30, 30, 3), np.uint8), times=(0.0, 1.0), duration=2.0)
    with pytest.raises(SampleError) as caught:
        encode(demo, prepared(broken))
    assert caught.value.code == "PROCESSOR_FAILED"
    assert caught.value.message.startswith("the model's processor fails with ")
