"""Families of models, each with a tiny one of the real architecture: what reaches it, and what its answers depend on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
import tiny_models
import tiny_templates
from running import running

from juicecap.media.load import load_frames
from juicecap.media.picture import MediaFrames
from juicecap.media.sampling import FrameSampling
from juicecap.vlm.backends.hf.backend import HFEngine, describe
from juicecap.vlm.backends.hf.inputs import encode
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request, Sampling

pytestmark = pytest.mark.model

TIMES = (0.0, 0.75, 1.5)
SHORT = Sampling(max_tokens=12)
HOT = Sampling(max_tokens=12, temperature=1.5, top_p=0.95)

SMOL = "<fake_token_around_image><global-img><image><image><image><image><fake_token_around_image>"
GEMMA = f"\n\n<start_of_image>{'<image_soft_token>' * 4}<end_of_image>\n\n"
PROMPTS = {
    "qwen2_5_vl": f"<|vision_start|>{'<|video_pad|>' * 8}<|vision_end|>Describe the video.",
    "qwen3_vl": (
        f"<0.4 seconds><|vision_start|>{'<|video_pad|>' * 4}<|vision_end|>"
        f"<1.5 seconds><|vision_start|>{'<|video_pad|>' * 4}<|vision_end|><|vision_end|>Describe the video."
    ),
    "smolvlm": (
        "User: You are provided the following series of three frames from a 0:00:02 [H:MM:SS] video.\n"
        f"\nFrame from 00:00:{SMOL}\nFrame from 00:00:{SMOL}\nFrame from 00:01:{SMOL}\n\nDescribe the video."
    ),
    "llava_onevision": f"{'<video>' * (3 * 4 + 1)}\nDescribe the video.",
    "idefics3": f"User:{SMOL * 3}Describe the video.",
    "gemma3": f"user\n{GEMMA * 3}Describe the video.",
    "t5gemma2": f"user\n{GEMMA * 3}Describe the video.",
}
FRAMES = {
    "qwen2_5_vl": ("video_grid_thw", [[2, 4, 4]]),
    "qwen3_vl": ("video_grid_thw", [[2, 4, 4]]),
    "smolvlm": ("pixel_values", (1, 3, 3, 32, 32)),
    "llava_onevision": ("pixel_values_videos", (1, 3, 3, 32, 32)),
    "idefics3": ("pixel_values", (1, 3, 3, 32, 32)),
    "gemma3": ("pixel_values", (3, 3, 32, 32)),
    "t5gemma2": ("pixel_values", (3, 3, 32, 32)),
}

TOKENS = {
    "qwen2_5_vl": [*tiny_templates.QWEN_TOKENS, "<|im_start|>", "<|im_end|>"],
    "qwen3_vl": [*tiny_templates.QWEN_TOKENS, "<|im_start|>", "<|im_end|>"],
    "smolvlm": [*tiny_templates.SMOL_TOKENS[:5], "<|im_start|>", "<video>"],
    "llava_onevision": ["<image>", "<video>", "<|im_start|>", "<|im_end|>"],
    "idefics3": [*tiny_templates.SMOL_TOKENS[:5], "<|im_start|>"],
    "gemma3": tiny_templates.GEMMA_TOKENS,
    "t5gemma2": tiny_templates.GEMMA_TOKENS,
}


@pytest.fixture(scope="module", params=tiny_models.FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def held(family, tmp_path_factory):
    with running(describe(ModelSettings(model=str(tiny_models.save(family, tmp_path_factory.mktemp(family)))))) as held:
        yield held


@pytest.fixture(scope="module")
def engine(held):
    return held.engine


def picture(frames: int = 3, seed: int = 0, kind: str = "video", size: tuple[int, int] = (32, 32)) -> MediaFrames:
    """Four by four squares of random colours; frames are 0.75 s apart."""
    colors = np.random.default_rng(seed).integers(0, 256, (frames, 4, 4, 3), np.uint8)
    pixels = colors.repeat(size[0] // 4, axis=1).repeat(size[1] // 4, axis=2)
    times = tuple(index * 0.75 for index in range(frames)) if kind == "video" else ()
    return MediaFrames(pixels=pixels, times=times, duration=frames * 0.75 if times else 0.0)


def asked(*media: MediaFrames, text: str = "Describe the video.", seed: int = 0, **more) -> Prepared:
    parts = [Part("video" if each.times else "image", str(number)) for number, each in enumerate(media)]
    message = Message("user", (*parts, Part("text", text)))
    request = Request(model=ModelSettings(model="m"), messages=(message,), **{"sampling": SHORT, **more})
    return Prepared(request=request, pictures=media, seed=seed)


def answers(engine: HFEngine, batch: list[Prepared]) -> list[list[str]]:
    outcomes = asyncio.run(engine.generate(batch))
    assert [outcome.failure for outcome in outcomes] == [None] * len(batch)
    return [[answer.text for answer in outcome.answers] for outcome in outcomes]


def failures(engine: HFEngine, batch: list[Prepared]) -> list[str | None]:
    return [each.failure and each.failure.code for each in asyncio.run(engine.generate(batch))]


def seen(engine: HFEngine, prepared: Prepared) -> tuple[str, dict]:
    """The prompt as its tokens say it, and the tensors."""
    row = encode(engine._loaded, prepared)
    return engine._loaded.tokenizer.decode(row["input_ids"][0]), row


def mixed(count: int, **more) -> list[Prepared]:
    """Videos of 2 to 4 frames, with prompts of several lengths."""
    return [
        asked(picture(2 + number % 3, seed=number), text="Describe the video. " * (1 + number % 2), seed=100 * number, **more)
        for number in range(count)
    ]


class TestWhatReachesTheModel:
    def test_a_video(self, family, engine):
        text, row = seen(engine, asked(picture(3)))
        assert PROMPTS[family] in text
        name, expected = FRAMES[family]
        assert (row[name].tolist() if isinstance(expected, list) else tuple(row[name].shape)) == expected

    def test_images(self, family, engine):
        pictures = picture(1, kind="image"), picture(1, 1, kind="image", size=(16, 48))
        text, row = seen(engine, asked(*pictures))
        if family.startswith("qwen"):
            assert row["image_grid_thw"].tolist() == [[1, 4, 4], [1, 2, 6]]
            assert text.count("<|image_pad|>") == 4 + 3
        elif family == "llava_onevision":
            assert row["pixel_values"].shape[0] == row["batch_num_images"].item() == 2
            assert text.count("<image>") == 2 * (16 + 1)
        elif "gemma" in family:
            assert (text.count(GEMMA), row["pixel_values"].shape[0]) == (2, 2)
        else:
            assert text.count("<global-img>") == 2
            assert text.count("<image>") == 4 * row["pixel_values"].shape[1] > 8  # in tiles
        one, same, other = (asked(*order, candidates=24, sampling=HOT) for order in (pictures, pictures, pictures[::-1]))
        first, second, third = answers(engine, [one, same, other])
        assert first == second != third

    def test_images_and_videos_together(self, family, engine):
        text, row = seen(engine, asked(picture(1, kind="image"), picture(3, seed=1)))
        if family.startswith("qwen"):
            assert row["image_grid_thw"].tolist() == [[1, 4, 4]]
            assert row["video_grid_thw"].tolist() == [[2, 4, 4]]
        elif family == "llava_onevision":
            assert (text.count("<video>"), row["pixel_values_videos"].shape[1]) == (13, 3)
            assert text.count("<image>") == 16 + 16 + 4  # the image in one tile, with ends of rows, and as a whole
        elif "gemma" in family:
            assert (text.count(GEMMA), row["pixel_values"].shape[0]) == (4, 4)
        else:  # both would be named `pixel_values`: the frames are shown as images
            assert f"User:{SMOL * 4}Describe the video." in text
            assert row["pixel_values"].shape[1] == 4
        one, same, other = (asked(picture(1, seed, "image"), picture(3, seed=1)) for seed in (0, 0, 2))
        first, second, third = answers(engine, [one, same, other])
        assert first == second != third

    def test_two_videos(self, engine):
        two = asked(picture(3), picture(3, seed=1))
        first, second = answers(engine, [two, replace(two, pictures=two.pictures[::-1])])
        assert first != second

    def test_videos_of_two_lengths_in_one_request(self, family, engine):
        expected = "PROCESSOR_FAILED" if family == "llava_onevision" else None  # it stacks them to one tensor
        assert failures(engine, [asked(picture(2), picture(4)), asked(picture(2))]) == [expected, None]

    def test_a_clip_from_a_file(self, family, held, engine, clips):
        sizes = held.backend.capabilities.sizes
        clip = load_frames("video", clips.paths[0], FrameSampling(num_frames=5), sizes)
        (outcome,) = asyncio.run(engine.generate([asked(clip)]))
        assert outcome.failure is None
        assert [len(times) for times in outcome.frame_times] == [5]
        assert len(clip.pixels) == 5
        if family in ("smolvlm", "llava_onevision"):
            assert clip.pixels.shape[1:3] == (32, 32)

    def test_a_single_frame(self, family, engine):
        text, _ = seen(engine, asked(picture(1)))
        assert answers(engine, [asked(picture(1))])[0][0]
        if family == "idefics3" or "gemma" in family:  # the others are shown it twice, being used to videos
            assert text.count(SMOL if family == "idefics3" else GEMMA) == 1

    @pytest.mark.parametrize("family", ["qwen2_5_vl"], indirect=True)
    def test_seconds_between_the_temporal_patches(self, engine, monkeypatch):
        model, given = engine._loaded.model.model, []
        real = model.get_rope_index
        monkeypatch.setattr(
            model, "get_rope_index", lambda *a, **more: given.append(more["second_per_grid_ts"]) or real(*a, **more)
        )
        late = replace(picture(4), times=(100.0, 100.3, 100.6, 100.9), duration=3600.0)  # a stretch of an hour
        answers(engine, [asked(picture(4), picture(5)), asked(late), asked(picture(1))])
        assert [each.tolist() for each in given] == [pytest.approx([1.5, 1.5, 0.6, 0.0])]

    @pytest.mark.parametrize("family", ["idefics3"], indirect=True)
    def test_a_model_that_takes_one_image_says_so(self, engine, monkeypatch):
        processor = engine._loaded.processor
        real = processor.image_processor.__class__.__call__

        def lone(self, images, **more):
            if len(images[0]) > 1:
                raise ValueError("one image only")
            return real(self, images, **more)

        monkeypatch.setattr(processor.image_processor.__class__, "__call__", lone)
        film, image = asyncio.run(engine.generate([asked(picture(3)), asked(picture(1, kind="image"))]))
        assert film.failure.message == (
            "the model's processor fails with ValueError: one image only "
            "(frames are shown to this model as images, here 3; not every model takes so many)"
        )
        assert image.failure is None

    @pytest.mark.parametrize("family", ["smolvlm"], indirect=True)
    def test_minutes(self, engine):
        text, _ = seen(engine, asked(replace(picture(3), times=(59.9, 61.0, 3599.0), duration=3661.5)))
        assert "series of three frames from a 1:01:01 [H:MM:SS] video." in text
        assert [text.count(f"Frame from {time}:") for time in ("00:59", "01:01", "59:59")] == [1, 1, 1]


class TestAnswers:
    def test_greedy_answers_do_not_depend_on_the_batch(self, engine):
        batch = mixed(6)
        together = answers(engine, batch)
        assert together == [answers(engine, [each])[0] for each in batch]
        assert len({text for (text,) in together}) > 3

    def test_greedy_candidates_are_alike(self, engine):
        three = asked(picture(3), candidates=3)
        (outcome,) = asyncio.run(engine.generate([three]))
        assert [answer.text for answer in outcome.answers] == answers(engine, [asked(picture(3))])[0] * 3
        assert [answer.seed for answer in outcome.answers] == [0, 1, 2]

    def test_candidates_do_not_depend_on_the_batch(self, engine):
        batch = mixed(16, sampling=HOT, candidates=3)
        together = answers(engine, batch)
        threes = [text for start in range(0, 16, 3) for text in answers(engine, batch[start : start + 3])]
        alone = [answers(engine, [each])[0] for each in batch[:4]]
        assert together == threes
        assert together[:4] == alone
        assert len({text for texts in together for text in texts}) > 40

    def test_a_candidate_is_the_request_with_the_next_seed(self, engine):
        (texts,) = answers(engine, [asked(picture(3), candidates=3, sampling=HOT, seed=7)])
        assert [texts] == [[answers(engine, [asked(picture(3), sampling=HOT, seed=7 + number)])[0][0] for number in range(3)]]

    def test_prompts_read_once_and_read_for_each_candidate(self, family, engine, monkeypatch):
        batch = mixed(5, sampling=replace(HOT, repetition_penalty=1.2), candidates=3)
        assert engine._loaded.reads_once == ("gemma" not in family)  # whose layers forget what is too long ago
        once = answers(engine, batch)
        monkeypatch.setattr(engine, "_loaded", replace(engine._loaded, reads_once=False))
        assert answers(engine, batch) == once

    def test_images_of_several_shapes_and_numbers(self, engine):
        shapes = [(32, 32), (16, 48), (64, 64), (96, 32)]
        images = [picture(1, seed, "image", shape) for seed, shape in enumerate(shapes)]
        batch = [*(asked(image) for image in images), asked(*images[:2]), asked(*images[1:])]
        assert answers(engine, batch) == [answers(engine, [each])[0] for each in batch]

    def test_a_text_without_pictures(self, engine):
        batch = [asked(text=text, candidates=2, sampling=HOT) for text in ("Say.", "Say something longer.")]
        assert answers(engine, batch) == [answers(engine, [each])[0] for each in batch]


class TestPrompts:
    def test_control_tokens_are_read_as_text(self, family, engine):
        plain = seen(engine, asked(picture(3), text="Z"))[1]["input_ids"][0].tolist()
        tokenizer, control = engine._loaded.tokenizer, set(engine._loaded.tokenizer.get_added_vocab().values())
        for token in TOKENS[family]:
            ids = seen(engine, asked(picture(3), text=f"Z{token}{token}"))[1]["input_ids"][0].tolist()
            assert [each for each in ids if each in control] == [each for each in plain if each in control]
            assert f"{token[0]} {token[1:]}" * 2 in tokenizer.decode(ids)

    def test_control_tokens_harm_nobody(self, family, engine):
        batch = [asked(picture(3)), *(asked(picture(3), text=token) for token in TOKENS[family]), asked(picture(2))]
        together = answers(engine, batch)
        assert [together[0], together[-1]] == [answers(engine, [batch[0]])[0], answers(engine, [batch[-1]])[0]]

    def test_a_prompt_that_is_too_long_fails_alone(self, engine):
        long = asked(picture(2), text="Describe the video. " * 400)
        batch = [asked(picture(2)), long, asked(picture(2), sampling=Sampling(max_tokens=tiny_models.CONTEXT))]
        assert failures(engine, batch) == [None, "TOO_LONG", "TOO_LONG"]
