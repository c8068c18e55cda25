"""What a processor's settings mean for sizes, whatever they are."""

from __future__ import annotations

import random

import pytest

from juicecap.errors import MediaError, ModelError
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.vlm.models.json_files import Section
from juicecap.vlm.models.pixel_budgets import (
    MOST_AT_LEAST,
    MOST_MERGE,
    MOST_PATCH,
    MOST_PIXELS,
    MOST_SIDE,
    MOST_TEMPORAL,
    budget_of,
)

KINDS = [("image", "Qwen2VLImageProcessor"), ("video", "Qwen2VLVideoProcessor"), ("video", "Qwen3VLVideoProcessor")]
GOOD = {
    "patch_size": 16,
    "merge_size": 2,
    "temporal_patch_size": 2,
    "size": {"shortest_edge": 4096, "longest_edge": 2**24},
    "max_video_tokens": 768,
    "cap_pixels_per_frame": True,
}


def complaint(kind: str, processor: str, **facts: object) -> str:
    with pytest.raises(ModelError) as caught:
        budget_of(kind, processor, Section("/m/processor_config.json", facts, "video_processor."))
    return str(caught.value)


@pytest.mark.parametrize("name", ["patch_size", "merge_size", "temporal_patch_size", "max_video_tokens"])
@pytest.mark.parametrize("value", [True, -1, 0, 2.5, float("nan"), float("inf"), 1e308, 2**63, 10**400, "", "x"])
def test_a_number_that_is_none_is_said_with_its_place(name, value):
    told = complaint("video", "Qwen3VLVideoProcessor", **{**GOOD, name: value})
    assert told.startswith(f"/m/processor_config.json: video_processor.{name} must be a whole number from 1 to ")


def test_sizes_too():
    assert complaint("video", "Qwen3VLVideoProcessor", **{**GOOD, "size": {"shortest_edge": 4096, "longest_edge": "x"}}) == (
        "/m/processor_config.json: video_processor.size.longest_edge must be a whole number from 1 to 1,099,511,627,776, not 'x'"
    )
    assert complaint("image", "Qwen2VLImageProcessor", **{**GOOD, "size": 5}) == (
        "/m/processor_config.json: video_processor.size must be an object, not 5"
    )
    assert complaint("video", "SmolVLMVideoProcessor", max_image_size={"longest_edge": 0}) == (
        "/m/processor_config.json: video_processor.max_image_size.longest_edge must be a whole number from 1 to 4,096, not 0"
    )
    assert complaint("video", "LlavaOnevisionVideoProcessor", do_resize=True, size={"height": 2**20, "width": 2**20}) == (
        "/m/processor_config.json: video_processor.size.height must be a whole number from 1 to 4,096, not 1048576"
    )


@pytest.mark.parametrize(
    "facts",
    [
        {"size": 224},
        {"size": {"shortest_edge": 224}},
        {**GOOD, "patch_size": {"height": 14, "width": 14}},
        {**GOOD, "patch_size": [2, 14, 14]},
        {**GOOD, "size": {}},
        {**GOOD, "size": None},
        {**GOOD, "temporal_patch_size": None},
    ],
)
def test_what_other_families_say_is_left_to_them(facts):
    assert budget_of("image", "OtherImageProcessor", Section("m", facts)) is None


@pytest.mark.parametrize(("kind", "processor"), KINDS)
def test_whatever_is_let_through_gives_sizes_that_fit_into_memory(kind, processor):
    draw = random.Random(3)

    def ends(most: int) -> int:
        return draw.choice([1, 2, most // 2, most, draw.randint(1, most)])

    for _ in range(3000):
        facts = {
            "patch_size": ends(MOST_PATCH),
            "merge_size": ends(MOST_MERGE),
            "temporal_patch_size": ends(MOST_TEMPORAL),
            "size": {"shortest_edge": ends(MOST_AT_LEAST), "longest_edge": ends(MOST_PIXELS)},
            "max_video_tokens": ends(MOST_PIXELS),
            "cap_pixels_per_frame": draw.random() < 0.5,
        }
        budget = budget_of(kind, processor, Section("m", facts))
        assert budget
        sampling = FrameSampling(min_pixels=draw.choice([None, 1, 10**6]), max_pixels=draw.choice([None, 1, 10**6]))
        frames, width, height = ends(10**5), ends(8000), ends(8000)
        try:
            size = FrameSizes(**{kind: budget}).size(kind, frames, width, height, sampling)
        except MediaError:  # TOO_NARROW
            continue
        assert min(size) >= 1
        assert size[0] * size[1] <= 2**29, (facts, frames, width, height, sampling)


def test_squares_are_no_larger_than_said():
    for side in (1, MOST_SIDE):
        budget = budget_of("video", "SmolVLMVideoProcessor", Section("m", {"max_image_size": {"longest_edge": side}}))
        assert budget
        assert budget.size(3, 10, 2000) == (side, side)
