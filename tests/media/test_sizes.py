import json
import random
from dataclasses import asdict

import pytest
import torch
from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor, Qwen3VLVideoProcessor
from transformers.image_utils import SizeDict

from juicecap.errors import MediaError
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import OTHERWISE, FrameSizes, PixelBudget

SMALL, LARGE = 64 * 64, 40_000
"""Pixel limits small enough to resize real tensors in no time."""


def _media(seed: int, most: int = 400) -> list[tuple[int, int, int]]:
    draw = random.Random(seed)
    media = [(draw.randint(2, 12), draw.randint(1, most), draw.randint(1, most)) for _ in range(60)]
    return [(frames, width, height) for frames, width, height in media if max(width, height) <= 150 * min(width, height)]


def _resized(processor: object, frames: int, width: int, height: int, factor: int) -> tuple[int, int]:
    """(width, height) that the processor makes of a real tensor."""
    options = {"size": processor.size, "resample": processor.resample, "factor": factor}
    if isinstance(processor, Qwen2VLVideoProcessor):
        options |= {"cap_pixels_per_frame": processor.cap_pixels_per_frame}
    if isinstance(processor, Qwen2VLImageProcessor):
        done = processor.resize(torch.zeros(1, 3, height, width), **options)
    else:
        if isinstance(processor, Qwen3VLVideoProcessor):
            options |= {"cap_pixels_per_frame": processor.cap_pixels_per_frame, "temporal_factor": 2}
        done = processor.resize(torch.zeros(1, frames, 3, height, width), **options)
    return done.shape[-1], done.shape[-2]


def _check(processor: object, budget: PixelBudget, seed: int) -> None:
    for frames, width, height in _media(seed):
        chosen = budget.size(frames, width, height)
        assert chosen == _resized(processor, frames, width, height, budget.factor), (frames, width, height)


def test_images() -> None:
    processor = Qwen2VLImageProcessor(patch_size=14, merge_size=2, size={"shortest_edge": SMALL, "longest_edge": LARGE})
    _check(processor, PixelBudget(factor=28, shortest=SMALL, longest=LARGE), 1)


def test_videos_with_a_budget_per_frame() -> None:
    processor = Qwen2VLVideoProcessor(patch_size=14, merge_size=2, size={"shortest_edge": SMALL, "longest_edge": LARGE})
    _check(processor, PixelBudget(factor=28, shortest=SMALL, longest=LARGE), 2)


@pytest.mark.parametrize("tokens", [50, 300, 3000])
def test_videos_with_a_budget_per_frame_and_a_cap_for_all(tokens: int) -> None:
    size = {"shortest_edge": SMALL, "longest_edge": LARGE}
    capped = Qwen2VLVideoProcessor(patch_size=14, merge_size=2, size=size, cap_pixels_per_frame=True, max_video_tokens=tokens)
    _check(capped, PixelBudget(factor=28, shortest=SMALL, longest=LARGE, video_tokens=tokens), 5)


@pytest.mark.parametrize("tokens", [None, 3, 40])
@pytest.mark.parametrize("limits", [(SMALL, 8 * LARGE), (SMALL, 2 * LARGE), (60_000, 3 * LARGE)])
def test_videos_with_a_budget_for_all_frames(tokens: int | None, limits: tuple[int, int]) -> None:
    shortest, longest = limits
    processor = Qwen3VLVideoProcessor(
        patch_size=16,
        merge_size=2,
        size=SizeDict(shortest_edge=shortest, longest_edge=longest),
        cap_pixels_per_frame=tokens is not None,
        max_video_tokens=tokens or 768,
    )
    _check(processor, PixelBudget(factor=32, shortest=shortest, longest=longest, whole_video=True, frame_tokens=tokens), 3)


@pytest.mark.parametrize(
    "budget",
    [
        PixelBudget(factor=28, shortest=SMALL, longest=LARGE),
        PixelBudget(factor=32, shortest=SMALL, longest=8 * LARGE, whole_video=True),
        PixelBudget(factor=32, shortest=SMALL, longest=8 * LARGE, whole_video=True, frame_tokens=40),
        PixelBudget(factor=32, shortest=128 * 32 * 32, longest=768 * 32 * 32, whole_video=True),
    ],
)
def test_a_size_that_was_chosen_is_chosen_again(budget: PixelBudget) -> None:
    """For usual shapes and even numbers of frames; the processors themselves move on from others."""
    for frames, width, height in _media(4, 1920):
        if min(width, height) >= 64 and max(width, height) <= 3 * min(width, height):
            chosen = budget.size(2 * frames, width, height)
            assert budget.size(2 * frames, *chosen) == chosen, (frames, width, height)


def test_one_frame_is_shown_twice_to_a_budget_for_all_frames() -> None:
    budget = PixelBudget(factor=32, shortest=SMALL, longest=4 * LARGE, whole_video=True)
    assert budget.size(1, 600, 400) == budget.size(2, 600, 400)


def test_what_processors_refuse_is_an_error_of_the_sample() -> None:
    with pytest.raises(MediaError, match="TOO_NARROW: a picture of 3x900 is more than 200 times as long as wide"):
        PixelBudget(factor=28, shortest=SMALL, longest=LARGE).size(1, 3, 900)


DEMO = FrameSizes(
    video=PixelBudget(factor=16, shortest=4096, longest=524288, whole_video=True, frame_tokens=32),
    image=PixelBudget(factor=16, shortest=4096, longest=8192),
)


class TestSizes:
    @pytest.mark.parametrize("kind", ["video", "image"])
    @pytest.mark.parametrize("frames", [1, 2, 5, 400])
    @pytest.mark.parametrize("size", [(64, 64), (320, 180), (180, 320), (1920, 1080)])
    def test_max_pixels_is_the_recipes_last_word(self, kind, frames, size):
        free = DEMO.size(kind, frames, *size, FrameSampling())
        small = DEMO.size(kind, frames, *size, FrameSampling(max_pixels=32 * 32))
        assert small[0] * small[1] <= min(32 * 32, free[0] * free[1])
        assert all(side % 16 == 0 for side in (*free, *small))
        assert DEMO.size(kind, frames, *size, FrameSampling(max_pixels=10**8)) == free

    def test_min_pixels_enlarges(self):
        small = DEMO.size("image", 1, 64, 64, FrameSampling())
        large = DEMO.size("image", 1, 64, 64, FrameSampling(min_pixels=8000))
        assert small == (64, 64)
        assert large[0] * large[1] > 64 * 64

    def test_a_processor_of_unknown_rules_gets_pictures_of_a_sane_size(self):
        free = FrameSizes()
        assert free.size("video", 4, 640, 360, FrameSampling()) == (640, 360)
        width, height = free.size("video", 4, 4000, 2000, FrameSampling())
        assert width == pytest.approx(2 * height, abs=2)
        assert width * height == pytest.approx(OTHERWISE, rel=0.01)
        assert free.size("image", 1, 4000, 2000, FrameSampling(max_pixels=5000)) == (100, 50)

    def test_none_leaves_a_size_that_no_processor_changes(self):
        free, none = FrameSizes(), FrameSampling(max_pixels="none")
        assert free.size("image", 1, 800, 12_000, none) == (800, 12_000)
        assert free.size("image", 1, 8, 8, FrameSampling(max_pixels="none", min_pixels=256)) == (16, 16)
        assert DEMO.size("image", 1, 800, 1200, none) == DEMO.size("image", 1, 800, 1200, FrameSampling())

    def test_a_reduction_that_nobody_asked_for(self):
        assert FrameSizes().reduces_unasked("image", FrameSampling())
        assert not FrameSizes().reduces_unasked("image", FrameSampling(max_pixels=9))
        assert not FrameSizes().reduces_unasked("image", FrameSampling(max_pixels="none"))
        assert not DEMO.reduces_unasked("video", FrameSampling())
        assert FrameSizes(video=DEMO.video).reduces_unasked("image", FrameSampling())

    def test_squares_are_squares_whatever_the_recipe_says(self):
        square = FrameSizes(video=PixelBudget(factor=1, shortest=9, longest=9, square=3))
        for sampling in (FrameSampling(), FrameSampling(max_pixels=4), FrameSampling(min_pixels=100)):
            assert square.size("video", 4, 1000, 2, sampling) == (3, 3)

    def test_they_travel_as_json(self):
        for sizes in (DEMO, FrameSizes(), FrameSizes(video=PixelBudget(factor=1, shortest=9, longest=9, square=3))):
            assert FrameSizes.from_plain(json.loads(json.dumps(asdict(sizes)))) == sizes
