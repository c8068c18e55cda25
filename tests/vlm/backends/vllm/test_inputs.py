"""What reaches the model: of other families than the demo model's, what the transformers backend gives it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
import tiny_models

pytest.importorskip("vllm", reason="vLLM is not installed: .ci/run runs these tests in its vLLM lane")

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.renderers import renderer_from_config

from juicecap.media.picture import MediaFrames
from juicecap.vlm.backends.hf.inputs import encode
from juicecap.vlm.backends.hf.load import load
from juicecap.vlm.backends.vllm.engine_process import read
from juicecap.vlm.backends.vllm.inputs import prompt_of, sampling_of
from juicecap.vlm.backends.vllm.process import started
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request, Sampling


def picture(frames: int = 3, seed: int = 0, gap: float = 0.75, kind: str = "video") -> MediaFrames:
    """Four by four squares of random colours; frames are `gap` seconds apart, and the video goes on after the last one."""
    colors = np.random.default_rng(seed).integers(0, 256, (frames, 4, 4, 3), np.uint8)
    times = tuple(index * gap for index in range(frames)) if kind == "video" else ()
    return MediaFrames(
        pixels=colors.repeat(8, axis=1).repeat(8, axis=2), times=times, duration=frames * gap + 1 if times else 0.0
    )


def asked(*media: MediaFrames) -> Prepared:
    parts = [Part("video" if each.times else "image", str(number)) for number, each in enumerate(media)]
    message = Message("user", (*parts, Part("text", "Describe the video.")))
    return Prepared(request=Request(model=ModelSettings(model="m"), messages=(message,)), pictures=media, seed=0)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl", "llava_onevision"])
def family(request, tmp_path_factory):
    """The model as transformers loads it, and vLLM's reader of prompts for it."""
    folder = str(tiny_models.save(request.param, tmp_path_factory.mktemp(request.param)))
    arguments = AsyncEngineArgs(model=folder, dtype="float32", max_model_len=1024, mm_processor_cache_gb=0, enforce_eager=True)
    config = started(arguments.create_engine_config, {})
    renderer = renderer_from_config(config)
    yield load(ModelSettings(model=folder)), lambda prompt: asyncio.run(read(renderer, config.model_config, prompt))
    renderer.shutdown()


@pytest.mark.parametrize(
    "media",
    [
        [picture(3)],
        [picture(1)],
        [picture(4, gap=1 / 3)],
        [picture(1, kind="image")],
        [picture(1, 1, kind="image"), picture(5, gap=0.4)],
        [picture(2, gap=0.5), picture(2, 1, gap=2.0)],
    ],
    ids=["video", "one frame", "thirds of seconds", "image", "image and video", "two videos"],
)
def test_tokens_and_times_are_those_of_the_other_backend(family, media):
    loaded, reading = family
    row = encode(loaded, asked(*media))
    told = reading(prompt_of(loaded.processor, loaded.sizes, asked(*media)))
    assert told["prompt_token_ids"] == row["input_ids"][0].tolist()
    for name in ("second_per_grid_ts", "video_grid_thw", "image_grid_thw"):
        if name in row:
            items = told["mm_kwargs"]["image" if name.startswith("image") else "video"]
            told_items = [item[name].data.tolist() for item in items]
            assert np.array(told_items) == pytest.approx(row[name].numpy(), abs=1e-6)


def test_candidates_that_are_missing_are_asked_for_with_the_seeds_that_they_would_have_had():
    whole = asked(picture())
    request = replace(whole.request, candidates=5, sampling=Sampling(temperature=1.0))
    params = sampling_of(replace(whole, request=request, seed=40, first=2))
    assert (params.n, params.seed) == (3, 42)
