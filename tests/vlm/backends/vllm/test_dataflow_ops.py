"""DataFlow's ops on vLLM: the bundled clips and pictures get the right text, and an image stands before a video."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: .ci/run runs these tests in its vLLM lane")

from juicecap.ops import ImageCaptionGenerator, VideoToCaptionGenerator
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.model

TESTS = Path(__file__).parents[3]
RECIPES = TESTS.parent / "recipes"
CLIPS = json.loads((TESTS / "demo_clips.json").read_text())
IMAGES = json.loads((TESTS / "demo_images.json").read_text())
SETTINGS = {"hf_model": "juicecap-demo-vlm", "backend": "vllm", "sampling_params": {"max_tokens": 64}}


@pytest.fixture(scope="module", autouse=True)
def engine() -> Iterator[None]:
    """One engine for all of these tests."""
    yield
    core.close()


def test_clips() -> None:
    paths = [str(RECIPES / "clips" / name) for name in CLIPS]
    out = VideoToCaptionGenerator(**SETTINGS)({"video": [[path] for path in paths], "conversation": [[]] * len(paths)})
    assert out["caption"] == [truth["detail"] for truth in CLIPS.values()]
    assert out["conversation"][0] == [{"from": "human", "value": "Please describe the video in detail."}]


def test_pictures() -> None:
    op = ImageCaptionGenerator(system_prompt="You are a helpful assistant.", **SETTINGS)
    assert op({"image": [[str(RECIPES / "images" / name)] for name in IMAGES]})["output"] == [
        truth["caption"] for truth in IMAGES.values()
    ]


def test_an_image_stands_before_a_video() -> None:
    """The demo model takes the end of the film from what it saw last."""
    sample = {"video": [str(RECIPES / "clips" / "clip_00.mp4")], "image": [str(RECIPES / "images" / "image_00.png")]}
    assert VideoToCaptionGenerator(**SETTINGS)(sample)["caption"] == [CLIPS["clip_00.mp4"]["detail"]]
