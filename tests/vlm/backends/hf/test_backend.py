"""The transformers backend on the demo model: one call for all, and failures that stay alone."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from outcomes import texts
from PIL import Image
from running import Running, running

from juicecap.errors import EnvironmentFailure, SampleError
from juicecap.media.load import load_frames
from juicecap.media.sampling import FrameSampling
from juicecap.vlm.backends.hf import backend as backend_module
from juicecap.vlm.backends.hf import generate as generate_module
from juicecap.vlm.backends.hf import health as health_module
from juicecap.vlm.backends.hf.backend import HFEngine, describe
from juicecap.vlm.backends.hf.health import Health
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request, Sampling
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.model

DEMO = "juicecap-demo-vlm"
PROMPT = "\nDescribe the input video in 1-2 sentences.\n"


def asked(path: str, text: str = PROMPT, kind: str = "video", **more) -> Request:
    return Request(model=ModelSettings(model=DEMO), messages=(Message("user", (Part(kind, path), Part("text", text))),), **more)


@pytest.fixture(scope="module")
def held() -> Iterator[Running]:
    """A backend of this module's own, so that its model can be made to fail."""
    with running(describe(ModelSettings(model=DEMO))) as held:
        yield held


@pytest.fixture(scope="module")
def engine(held: Running) -> HFEngine:
    return held.engine


@pytest.fixture
def six(clips, held) -> list[Prepared]:
    """Six requests with seeds 0 to 5."""
    return [
        Prepared(
            request=asked(path),
            pictures=(load_frames("video", path, FrameSampling(), held.backend.capabilities.sizes),),
            seed=seed,
        )
        for seed, path in enumerate(clips.paths[:6])
    ]


def generated(engine: HFEngine, batch: list[Prepared]):
    return asyncio.run(engine.generate(batch))


class Spy:
    """Notes the calls of `generate`, and makes those fail that hold a poisoned row; all from the call `breaks` on."""

    def __init__(
        self,
        engine,
        monkeypatch,
        error: Exception | None = None,
        poison: set[int] = frozenset(),
        most: int = 99,
        breaks: int = 99,
    ):
        self.calls: list[list[Prepared]] = []
        real = engine._generate

        def watched(members):
            self.calls.append([member.prepared for member in members])
            poisoned = poison & {member.place for member in members} or len(members) > most
            if error and (poisoned or len(self.calls) >= breaks):
                raise error
            return real(members)

        monkeypatch.setattr(engine, "_generate", watched)
        monkeypatch.setattr(engine, "_health", Health(ModelSettings(model=DEMO), engine._loaded))

    @property
    def sizes(self) -> list[int]:
        return [len(call) for call in self.calls]


class TestBatches:
    @pytest.mark.filterwarnings("error::FutureWarning")
    def test_one_generate_for_all_samples_and_candidates(self, engine, six, monkeypatch):
        calls = []
        model = engine._loaded.model
        real = model.generate
        monkeypatch.setattr(model, "generate", lambda **inputs: calls.append(len(inputs["input_ids"])) or real(**inputs))
        batch = [replace(each, request=replace(each.request, candidates=3, sampling=Sampling(temperature=0.01))) for each in six]
        outcomes = generated(engine, batch)
        assert calls == [6, 18]  # the prompts, once each, and then all answers
        assert [len(outcome.answers) for outcome in outcomes] == [3] * 6
        assert [[answer.seed for answer in outcome.answers] for outcome in outcomes] == [[n, n + 1, n + 2] for n in range(6)]

    def test_frames_are_read_once_for_all_candidates(self, engine, six, monkeypatch):
        seen = []
        visual = engine._loaded.model.model.visual
        hook = visual.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0]) if inputs else -1))
        request = replace(six[0].request, candidates=4, sampling=Sampling(temperature=1.0))
        generated(engine, [replace(six[0], request=request)])
        hook.remove()
        assert len(seen) == 1

    def test_candidates_read_once_are_those_that_are_read_alone(self, engine, six):
        hot = Sampling(temperature=2.5, max_tokens=20)
        batch = [replace(each, request=replace(each.request, candidates=3, sampling=hot)) for each in six]
        together = [[answer.text for answer in outcome.answers] for outcome in generated(engine, batch)]
        for each, candidates in zip(six, together, strict=True):
            for index, text in enumerate(candidates):
                alone = replace(each, request=replace(each.request, sampling=hot), seed=each.seed + index)
                assert texts(generated(engine, [alone])) == [text]

    def test_requests_that_sample_differently_keep_their_places(self, engine, six, clips, monkeypatch):
        spy = Spy(engine, monkeypatch)
        batch = [
            replace(each, request=replace(each.request, sampling=Sampling(max_tokens=3 if each.seed % 2 else 64))) for each in six
        ]
        outcomes = generated(engine, batch)
        assert [outcome.answers[0].finish_reason for outcome in outcomes] == ["stop", "length"] * 3
        assert [clips.captions[place].startswith(outcome.answers[0].text) for place, outcome in enumerate(outcomes)] == [True] * 6
        assert spy.sizes == [3, 3]

    def test_videos_of_different_sizes_and_prompts_of_different_lengths(self, clips, film, tmp_path):
        wide = tmp_path / "wide.mp4"
        film(wide, "circle", "red", "black", "right", size=(128, 64), frames=48)
        requests = [asked(clips.paths[0]), asked(str(wide), "What color is the object?"), asked(clips.paths[1])]
        together = core.ask(requests)
        assert texts(together) == [clips.captions[0], "red", clips.captions[1]]
        assert [core.ask([request])[0] for request in requests] == together


class TestThreads:
    def test_the_next_batch_is_made_ready_while_one_generates(self, engine, six, clips, monkeypatch):
        second_is_ready, waited = threading.Event(), []
        generate, encode = engine._generate, backend_module.encode

        def slow(members):
            waited.append(second_is_ready.wait(20))
            return generate(members)

        def watched(loaded, prepared):
            row = encode(loaded, prepared)
            if prepared.seed == 5:
                second_is_ready.set()
            return row

        async def both():
            return await asyncio.gather(engine.generate(six[:3]), engine.generate(six[3:]))

        monkeypatch.setattr(engine, "_generate", slow)
        monkeypatch.setattr(backend_module, "encode", watched)
        first, second = asyncio.run(both())
        assert texts(first + second) == clips.captions[:6]
        assert waited == [True, True]

    def test_the_model_is_touched_by_one_thread(self, engine, six, monkeypatch):
        names = []
        hook = engine._loaded.model.register_forward_hook(lambda *_: names.append(threading.current_thread().name))

        async def many():
            await asyncio.gather(*(engine.generate([each]) for each in six))

        asyncio.run(many())
        hook.remove()
        assert {name.rpartition("_")[0] for name in names} == {"juicecap-hf-model"}


class TestOutcomes:
    def test_what_an_outcome_tells(self, clips):
        (outcome,) = core.ask([asked(clips.paths[0], frames=FrameSampling(num_frames=3))])
        (answer,) = outcome.answers
        assert answer.text == clips.captions[0]
        assert answer.finish_reason == "stop"
        assert answer.seed == outcome.seed
        assert len(outcome.revision) == 12
        assert outcome.frame_times == ((0.0, pytest.approx(11.5 / 12, abs=0.05), pytest.approx(23 / 12)),)
        assert outcome.unreadable == 0

    def test_max_tokens(self, clips):
        (whole,) = core.ask([asked(clips.paths[0])])
        needed = whole.answers[0].tokens
        exact, short = core.ask([asked(clips.paths[0], sampling=Sampling(max_tokens=most)) for most in (needed, needed - 1)])
        assert (exact.answers[0].finish_reason, exact.answers[0].tokens) == ("stop", needed)
        assert (short.answers[0].finish_reason, short.answers[0].tokens) == ("length", needed - 1)
        assert short.answers[0].text == clips.captions[0]  # only its end is missing

    def test_stop_texts(self, clips):
        circle, square = (
            core.ask([asked(clips.paths[place], sampling=Sampling(stop=(" moves", "square")))])[0].answers[0] for place in (0, 1)
        )
        assert (circle.text, circle.finish_reason) == ("A red circle", "stop")
        assert (square.text, square.finish_reason) == ("A green", "stop")

    def test_tokens_are_counted_alike_in_every_batch(self, clips):
        stop = Sampling(stop=(" moves",))
        requests = [asked(clips.paths[place], sampling=stop) for place in (0, 4)]  # number 4 stands still and goes on to its end
        together = core.ask(requests)
        assert [core.ask([request])[0] for request in requests] == together
        assert [each.answers[0].text for each in together] == ["A red circle", clips.captions[4]]
        assert together[0].answers[0].tokens < together[1].answers[0].tokens

    def test_penalties_are_felt(self, clips):
        plain, repeated, present = core.ask(
            [
                asked(clips.paths[0]),
                asked(clips.paths[0], sampling=Sampling(repetition_penalty=1000.0, max_tokens=12)),
                asked(clips.paths[0], "Where is the object over time?", sampling=Sampling(presence_penalty=2.0, max_tokens=12)),
            ]
        )
        assert plain.answers[0].text == clips.captions[0]
        assert repeated.answers[0].text != clips.captions[0]
        assert present.failure is None

    def test_a_repetition_penalty_does_not_depend_on_the_neighbours(self, clips):
        sampling = Sampling(repetition_penalty=1.3, max_tokens=16)
        requests = [asked(clips.paths[0], "Why?", sampling=sampling), asked(clips.paths[1], PROMPT * 3, sampling=sampling)]
        assert core.ask(requests) == [core.ask([request])[0] for request in requests]

    def test_padding_is_no_part_of_the_prompt(self, engine, six, monkeypatch):
        masks = []
        real = generate_module.RepetitionPenalty
        monkeypatch.setattr(generate_module, "RepetitionPenalty", lambda penalty, mask: masks.append(mask) or real(penalty, mask))
        longer = replace(asked("x", PROMPT * 3), sampling=Sampling(repetition_penalty=1.3), candidates=1)
        batch = [replace(six[0], request=replace(six[0].request, sampling=longer.sampling)), replace(six[1], request=longer)]
        outcomes = generated(engine, batch)
        assert masks[0].sum(1).tolist() == [outcome.prompt_tokens for outcome in outcomes]
        assert outcomes[0].prompt_tokens < outcomes[1].prompt_tokens == masks[0].shape[1]

    def test_the_models_own_generation_settings_are_not_consulted(self, clips, tmp_path):
        from juicecap.vlm.models.names import model_source

        folder = Path(shutil.copytree(model_source(DEMO), tmp_path / "model"))
        own = '{"do_sample": true, "temperature": 9.0, "max_new_tokens": 1, "eos_token_id": 2}'
        (folder / "generation_config.json").write_text(own)
        request = replace(asked(clips.paths[0]), model=ModelSettings(model=str(folder)))
        assert texts(core.ask([request])) == [clips.captions[0]]


class TestMedia:
    def test_an_image(self, clips, film, tmp_path):
        import synthetic_clips

        scene = film(tmp_path / "x.mp4", "circle", "red", "black", "still")
        picture = tmp_path / "x.png"
        Image.fromarray(synthetic_clips.render(scene, 0.0, 64, 64)).save(picture)
        questions = [synthetic_clips.COLOR_PROMPT, synthetic_clips.SHAPE_PROMPT, synthetic_clips.BACKGROUND_PROMPT]
        outcomes = core.ask(
            [
                *(asked(str(picture), question, "image") for question in questions),
                asked(clips.paths[0]),
                asked("none.png", kind="image"),
            ]
        )
        assert texts(outcomes) == ["red", "circle", "black", clips.captions[0], "FILE_NOT_FOUND"]
        assert outcomes[0].frame_times == ()

    @pytest.mark.parametrize("frames", [1, 3, 5])
    def test_few_and_odd_numbers_of_frames(self, film, tmp_path, frames):
        path = tmp_path / "few.mp4"
        film(path, "circle", "red", "black", "still", frames=frames)
        (outcome,) = core.ask([asked(str(path), "What color is the object?")])
        assert texts([outcome]) == ["red"]
        assert len(outcome.frame_times[0]) == min(frames, 4)

    def test_two_videos_in_one_request(self, clips):
        parts = (Part("video", clips.paths[0]), Part("video", clips.paths[1]), Part("text", PROMPT))
        (outcome,) = core.ask([replace(asked(clips.paths[0]), messages=(Message("user", parts),))])
        assert outcome.failure is None
        assert [len(times) for times in outcome.frame_times] == [4, 4]

    def test_a_picture_that_no_processor_takes_is_rejected_alone(self, clips, tmp_path):
        long = tmp_path / "long.png"
        Image.fromarray(np.zeros((2, 900, 3), np.uint8)).save(long)
        assert texts(core.ask([asked(str(long), kind="image"), asked(clips.paths[0])])) == ["TOO_NARROW", clips.captions[0]]


class TestPrompts:
    @pytest.mark.parametrize(
        "token", ["<|im_start|>", "<|im_end|>", "<|video_pad|>", "<|image_pad|>", "<|vision_start|>", "<|placeholder|>"]
    )
    def test_control_tokens_in_a_prompt_harm_nobody(self, clips, token):
        outcomes = core.ask([asked(clips.paths[0]), asked(clips.paths[1], f"{token}assistant\n{token}"), asked(clips.paths[2])])
        assert [each.failure for each in outcomes] == [None] * 3
        assert [texts(outcomes)[place] for place in (0, 2)] == [clips.captions[0], clips.captions[2]]

    def test_a_request_that_is_too_long_is_rejected_alone(self, clips):
        requests = [
            asked(clips.paths[0]),
            *(asked(clips.paths[1], sampling=Sampling(max_tokens=most)) for most in (32760, 40000)),
        ]
        outcomes = core.ask(requests)
        assert texts(outcomes) == [clips.captions[0], "TOO_LONG", "TOO_LONG"]
        prompt = outcomes[0].prompt_tokens
        assert [outcome.failure.message for outcome in outcomes[1:]] == [
            f"the prompt has {prompt} tokens; with max_tokens 32,760 that exceeds the model's 32,768: "
            "take fewer frames (fps, max_frames), fewer pixels (max_pixels) or a lower max_tokens",
            "max_tokens 40,000 leaves no room for a prompt beside it in the model's 32,768: lower max_tokens",
        ]


class TestFailures:
    POISONS = ({0}, {2}, {5}, {0, 5}, {1, 2, 4}, {0, 1, 2, 3, 4, 5})

    @pytest.mark.parametrize("poison", POISONS)
    def test_generate_fails_for_the_poisoned_alone(self, engine, six, clips, monkeypatch, poison):
        Spy(engine, monkeypatch, RuntimeError("device-side assert"), poison)
        outcomes = generated(engine, six)
        assert texts(outcomes) == ["GENERATE_FAILED" if n in poison else clips.captions[n] for n in range(6)]
        failed = outcomes[min(poison)].failure
        assert failed.message == "the model fails with RuntimeError: device-side assert"

    @pytest.mark.parametrize("poison", POISONS)
    def test_the_processor_fails_for_the_poisoned_alone(self, engine, six, clips, monkeypatch, poison):
        loaded = engine._loaded
        real = loaded.processor

        class Fragile:
            calls = iter(range(6))

            def __call__(self, **inputs):
                if next(self.calls) in poison:
                    raise IndexError("no such patch")
                return real(**inputs)

            def __getattr__(self, name):
                return getattr(real, name)

        spy = Spy(engine, monkeypatch)
        monkeypatch.setattr(engine, "_loaded", replace(loaded, processor=Fragile()))
        outcomes = generated(engine, six)
        assert texts(outcomes) == ["PROCESSOR_FAILED" if n in poison else clips.captions[n] for n in range(6)]
        assert outcomes[min(poison)].failure.message == "the model's processor fails with IndexError: no such patch"
        assert spy.sizes == ([6 - len(poison)] if len(poison) < 6 else [])

    def test_out_of_memory_halves_the_batch(self, engine, six, clips, monkeypatch):
        spy = Spy(engine, monkeypatch, torch.OutOfMemoryError("full"), most=2)
        assert texts(generated(engine, six)) == clips.captions[:6]
        assert spy.sizes == [6, 3, 1, 2, 3, 1, 2]

    def test_the_tensors_of_a_call_that_failed_are_gone_at_the_next(self, engine, six, clips, monkeypatch):
        model, pixels, alive = engine._loaded.model, [], []
        real = model.generate

        def full(**inputs):
            alive.append(sum(each() is not None for each in pixels))
            pixels.append(weakref.ref(inputs["pixel_values_videos"]))
            if len(inputs["input_ids"]) > 2:
                raise torch.OutOfMemoryError("full")
            return real(**inputs)

        monkeypatch.setattr(model, "generate", full)
        assert texts(generated(engine, six)) == clips.captions[:6]
        assert alive == [0] * 7

    def test_a_request_that_never_fits_is_rejected_alone(self, engine, six, clips, monkeypatch):
        Spy(engine, monkeypatch, torch.OutOfMemoryError("full"), {3})
        outcomes = generated(engine, six)
        assert texts(outcomes) == [*clips.captions[:3], "OUT_OF_MEMORY", *clips.captions[4:6]]
        assert outcomes[3].failure.retryable
        assert outcomes[3].failure.message == "the model fails with OutOfMemoryError: full"

    def test_an_empty_batch(self, engine):
        assert generated(engine, []) == []


class TestBroken:
    """A model that answers nothing any more, as after a device-side assert, is no fault of the samples that it is asked about."""

    ERROR = RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later.")

    def test_it_ends_the_run_and_says_where_it_began(self, engine, six, clips, monkeypatch):
        spy = Spy(engine, monkeypatch, self.ERROR, breaks=2)
        assert texts(generated(engine, six[:2])) == clips.captions[:2]
        message = (
            f"{DEMO} answers nothing any more; it began with {clips.paths[2]} and 3 more: RuntimeError: CUDA error: device-side "
            "assert triggered. Running again goes on; if it ends there again, batch_size: 1 finds the sample."
        )
        with pytest.raises(EnvironmentFailure, match=f"^{re.escape(message)}$"):
            generated(engine, six[2:])
        assert spy.sizes == [2, 4, 2, 1, 1, 2, 1, 1, 1]
        assert spy.calls[-1][0].request == replace(six[0].request, sampling=Sampling(max_tokens=1))
        assert spy.calls[-1][0].pictures == ()

    def test_a_batch_of_one_names_the_sample(self, engine, six, clips, monkeypatch):
        Spy(engine, monkeypatch, self.ERROR, breaks=2)
        generated(engine, six[:1])
        with pytest.raises(
            EnvironmentFailure, match=rf"began with {re.escape(clips.paths[1])}: .* again, leave that sample out\.$"
        ):
            generated(engine, six[1:2])

    def test_in_the_middle_of_a_batch(self, engine, six, clips, monkeypatch):
        """The first half fails for a sample in it, and is narrowed; then all fails."""
        Spy(engine, monkeypatch, self.ERROR, {0}, breaks=5)
        with pytest.raises(EnvironmentFailure, match=rf"began with {re.escape(clips.paths[3])} and 2 more"):
            generated(engine, six)

    def test_where_nothing_was_answered_yet_it_is_asked_a_plain_question(self, engine, six, monkeypatch):
        spy = Spy(engine, monkeypatch, self.ERROR, breaks=1)
        with pytest.raises(EnvironmentFailure, match="answers nothing any more"):
            generated(engine, six)
        ((asked,),) = spy.calls[-1:]
        assert asked.request.media() == []

    def test_it_stays_broken_and_may_come_back(self, engine, six, clips, monkeypatch):
        with monkeypatch.context() as patch:
            Spy(engine, patch, self.ERROR, breaks=1)
            for _ in range(2):
                with pytest.raises(EnvironmentFailure):
                    generated(engine, six[:1])
        assert texts(generated(engine, six[:1])) == clips.captions[:1]

    @pytest.mark.parametrize(("poison", "more"), [({0}, 0), ({2, 3}, 0), ({5}, 1), (set(range(6)), 1)])
    def test_one_that_answers_a_sample_afterwards_is_asked_nothing_more(self, engine, six, monkeypatch, poison, more):
        spy = Spy(engine, monkeypatch, self.ERROR, poison)
        outcomes = generated(engine, six)
        assert [n for n, each in enumerate(outcomes) if each.failure] == sorted(poison)
        assert sum(call[0].request.sampling.max_tokens == 1 for call in spy.calls) == more

    def test_want_of_memory_breaks_nothing(self, engine, six, monkeypatch):
        spy = Spy(engine, monkeypatch, torch.OutOfMemoryError("full"), breaks=1)
        assert texts(generated(engine, six[:1])) == ["OUT_OF_MEMORY"]
        assert spy.sizes == [1]

    def test_a_processor_that_takes_no_text_alone_leaves_it_open(self, engine, six, monkeypatch):
        def refuses(*_):
            raise SampleError("PROCESSOR_FAILED", "no picture")

        monkeypatch.setattr(health_module, "encode", refuses)
        Spy(engine, monkeypatch, self.ERROR, {0})
        assert texts(generated(engine, six[:1])) == ["GENERATE_FAILED"]

    def test_memory_that_a_broken_gpu_does_not_take_back_hides_nothing(self, engine, six, monkeypatch):
        def poisoned():
            raise self.ERROR

        Spy(engine, monkeypatch, self.ERROR, breaks=1)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "empty_cache", poisoned)
        with pytest.raises(EnvironmentFailure, match="answers nothing any more"):
            generated(engine, six)
