"""Prompts counted from files, against the processors that make them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from juicecap.media.picture import MediaFrames
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes, PixelBudget
from juicecap.vlm.backends.hf import inputs
from juicecap.vlm.backends.hf.load import LoadedModel, load
from juicecap.vlm.backends.transformers_common.prompt import render
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request
from juicecap.vlm.context import ContextLength
from juicecap.vlm.models.facts import _DEFAULTS, _VIDEO_PROCESSORS, ModelFacts, model_facts
from juicecap.vlm.models.prompt_tokens import PromptTokens, Shown

TEXTS = (
    "What happens?",
    "\nDescribe the input video in 1-2 sentences.\n",
    "视频里有什么? 0.5 <0.5 seconds>",
    "not a <|video_pad|> nor <|im_end|>",
)


@pytest.fixture(scope="session", params=["demo", "qwen2_5_vl", "qwen3_vl"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    if request.param == "demo":
        return load(ModelSettings(model="juicecap-demo-vlm"))
    folder = tiny_models.save(request.param, tmp_path_factory.mktemp("models") / request.param)
    return load(ModelSettings(model=str(folder)))


@pytest.fixture
def facts(model: LoadedModel) -> ModelFacts:
    found = model_facts(ModelSettings(model=model.processor.tokenizer.name_or_path))
    assert found
    return found


def asked(kind: str, text: str, system: str | None = None) -> Request:
    messages = [Message("user", (Part(kind, "a"), Part("text", text)))]  # type: ignore[arg-type]
    if system:
        messages.insert(0, Message("system", (Part("text", system),)))
    return Request(model=ModelSettings(model="m"), messages=tuple(messages))


def clips(number: int) -> list[tuple[int, tuple[int, int], tuple[float, ...]]]:
    """Frames, size of the video, and times that are near round ones, and late ones."""
    draw = random.Random(7)
    found = []
    for _ in range(number):
        count = draw.choice([1, 2, 3, 4, 5, 8, 13, 32])
        size = draw.choice([(64, 64), (320, 180), (180, 320), (1280, 720), (33, 450), (16, 16), (640, 480), (719, 1279)])
        begin = draw.choice([0.0, 0.04, 9.9, 59.95, 99.94, 3599.9])
        step = draw.choice([0.033, 0.05, 0.5, 1.0, 2.017, 49.99])
        found.append((count, size, tuple(begin + step * place for place in range(count))))
    return found


def real_tokens(model: LoadedModel, request: Request, picture: MediaFrames) -> int:
    row = inputs.encode(model, Prepared(request=request, pictures=(picture,), seed=0))
    return int(row["input_ids"].shape[1])


def test_the_sizes_are_those_of_the_processor(model: LoadedModel, facts: ModelFacts) -> None:
    assert facts.sizes == model.sizes
    assert facts.context == model.context


def test_fifty_videos_have_as_many_tokens_as_the_processor_makes_of_them(model: LoadedModel, facts: ModelFacts) -> None:
    counter = PromptTokens(facts)
    wrong = []
    for number, (count, size, times) in enumerate(clips(50)):
        width, height = facts.sizes.size("video", count, *size, FrameSampling())
        picture = MediaFrames(pixels=np.zeros((count, height, width, 3), np.uint8), times=times, duration=times[-1] + 1)
        request = asked("video", TEXTS[number % len(TEXTS)], system="Be brief." if number % 3 else None)
        counted = counter.count(request, [Shown(kind="video", width=width, height=height, times=times)])
        assert (counted.exact_vision, counted.exact_text) == (True, True)
        expected = real_tokens(model, request, picture)
        if counted.tokens != expected:
            wrong.append((count, size, times[:2], counted, expected))
    assert wrong == []


def test_images_too(model: LoadedModel, facts: ModelFacts) -> None:
    for size in [(64, 64), (320, 180), (33, 450), (1280, 720)]:
        width, height = facts.sizes.size("image", 1, *size, FrameSampling())
        request = asked("image", TEXTS[0])
        counted = PromptTokens(facts).count(request, [Shown(kind="image", width=width, height=height)])
        assert counted.tokens == real_tokens(model, request, MediaFrames(pixels=np.zeros((1, height, width, 3), np.uint8)))


def test_the_text_is_what_the_engine_sends(model: LoadedModel, facts: ModelFacts) -> None:
    for text in TEXTS:
        request = asked("video", text, system="Be <|im_start|> brief.")
        assert PromptTokens(facts).text(request) == render(model.processor, request)


def test_without_a_tokenizer_the_time_stamps_are_still_counted_as_qwens_tokenizers_do() -> None:
    """Digits are tokens of their own there, and so are '<', '.', ' seconds' and '>'."""
    sizes = FrameSizes(video=PixelBudget(factor=32, shortest=4096, longest=25_165_824, whole_video=True))
    counter = PromptTokens(ModelFacts(folder=None, model_type="qwen3_vl", sizes=sizes))
    shown = Shown(kind="video", width=320, height=160, times=(0.0, 1.0, 99.9, 100.1, 3599.96))
    # <0.5 seconds>, <100.0 seconds>, <3600.0 seconds>; start, end and 50 places each
    assert counter.vision(shown) == (6 + 52) + (8 + 52) + (9 + 52)


def test_what_is_not_known_is_an_estimate() -> None:
    request = asked("video", "x" * 40)
    counted = PromptTokens(None).count(request, [Shown(kind="video", width=280, height=280, times=(0.0, 1.0))])
    assert (counted.tokens, counted.vision, counted.exact_vision, counted.exact_text) == (222, 200, False, False)


def test_defaults_are_those_of_the_processors() -> None:
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

    classes: dict[str, Callable[..., Any]] = {
        "Qwen2VLImageProcessor": Qwen2VLImageProcessor,
        "Qwen2VLVideoProcessor": Qwen2VLVideoProcessor,
        "Qwen3VLVideoProcessor": Qwen3VLVideoProcessor,
    }
    assert classes.keys() == _DEFAULTS.keys()
    for name, defaults in _DEFAULTS.items():
        processor = classes[name]()
        assert {key: dict(getattr(processor, key)) if key == "size" else getattr(processor, key) for key in defaults} == {
            **defaults
        }
        assert getattr(processor, "cap_pixels_per_frame", None) is None
    assert set(_VIDEO_PROCESSORS.values()) <= classes.keys()


def test_a_model_of_the_hub_that_is_not_here_is_known_by_its_family(tmp_path: Path) -> None:
    found = model_facts(ModelSettings(model="Qwen/Qwen3-VL-8B-Instruct", params=f'{{"cache_dir": "{tmp_path}"}}'))
    assert found
    assert (found.folder, found.model_type, found.context, found.tells_times) == (None, "qwen3_vl", ContextLength(262_144), True)
    assert model_facts(ModelSettings(model="someone/else", params=f'{{"cache_dir": "{tmp_path}"}}')) is None
