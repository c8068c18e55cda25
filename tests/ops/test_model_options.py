"""Parameters of ops that ask a model, and the requests that they become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from juicecap.errors import SettingsError
from juicecap.media.sampling import FrameSampling
from juicecap.ops import VideoCaptioningFromVLMMapper
from juicecap.vlm.base import Limits, Message, ModelSettings, Part, Request, Sampling

MESSAGES = [Message("user", (Part("video", "a.mp4"), Part("text", "P")))]


def problems(**settings) -> list[tuple[str, str]]:
    with pytest.raises(SettingsError) as caught:
        VideoCaptioningFromVLMMapper(**settings)
    return caught.value.problems


def test_every_parameter_arrives_in_the_request():
    op = VideoCaptioningFromVLMMapper(
        hf_model="org/model",
        model_params={"revision": "abc", "dtype": "bfloat16"},
        sampling_params={"temperature": 0.3, "stop": "END"},
        fps=1.5,
        num_frames=6,
        min_frames=2,
        max_frames=9,
        start=0.5,
        end=3.0,
        min_pixels=1024,
        max_pixels=4096,
        seed=11,
    )
    assert op.question(MESSAGES, 4) == Request(
        model=ModelSettings(backend="hf", model="org/model", params='{"dtype":"bfloat16","revision":"abc"}'),
        messages=tuple(MESSAGES),
        frames=FrameSampling(
            fps=1.5, num_frames=6, min_frames=2, max_frames=9, start=0.5, end=3.0, min_pixels=1024, max_pixels=4096
        ),
        sampling=Sampling(temperature=0.3, stop=("END",)),
        candidates=4,
        seed=11,
        named=("seed", "stop", "temperature"),
    )


def test_params_say_the_same_in_any_order():
    one, two = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    first, second = (VideoCaptioningFromVLMMapper(model_params=params).question(MESSAGES, 1).model for params in (one, two))
    assert first == second
    assert first.engine_params() == json.loads(first.params) == one


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (
            {"sampling_params": {"temprature": 1}},
            [("sampling_params", "sampling_params has no parameter 'temprature'; did you mean 'temperature'?")],
        ),
        (
            {"min_frames": 9, "max_frames": 4},
            [("min_frames", "min_frames (9) is larger than max_frames (4)")],
        ),
        ({"start": 3.0, "end": 2.0}, [("end", "end (2.0) is not later than start (3.0)")]),
        ({"min_pixels": 9, "max_pixels": 4}, [("min_pixels", "min_pixels (9) is larger than max_pixels (4)")]),
        ({"max_pixels": "all"}, [("max_pixels", "max_pixels must be int > 0 or none or null, not 'all'")]),
        (
            {"enable_vllm": True, "backend": "openai"},
            [("enable_vllm", "enable_vllm is true and backend is openai: choose one")],
        ),
        (
            {"model_params": {"dtype": object}},
            [("model_params", "model_params must be plain values, as a recipe can hold them (dtype: bfloat16)")],
        ),
        ({"fps": 0}, [("fps", "fps must be float > 0, not 0")]),
        ({"seed": -1}, [("seed", "seed must be int >= 0, not -1")]),
        ({"backend": "tgi"}, [("backend", "backend must be hf | vllm | openai, not 'tgi'")]),
    ],
)
def test_what_contradicts_itself(settings, found):
    assert problems(**settings) == found


def test_pixels_without_a_limit():
    frames = VideoCaptioningFromVLMMapper(min_pixels=9, max_pixels="none").question(MESSAGES, 1).frames
    assert (frames.min_pixels, frames.max_pixels) == (9, "none")


def test_enable_vllm_is_backend_vllm(monkeypatch):
    from juicecap.vlm import catalog

    monkeypatch.setitem(catalog.BACKENDS, "vllm", catalog.BACKENDS["hf"])
    one = VideoCaptioningFromVLMMapper(enable_vllm=True).question(MESSAGES, 1).model
    assert one == VideoCaptioningFromVLMMapper(backend="vllm").question(MESSAGES, 1).model
    assert one.backend == "vllm"


def test_a_server_and_its_key_arrive_in_the_request():
    op = VideoCaptioningFromVLMMapper(backend="openai", api_base="http://localhost:8000/v1", api_key_env="MY_KEY", hf_model="m")
    settings = op.question(MESSAGES, 1).model
    assert settings == ModelSettings(backend="openai", model="m", api_base="http://localhost:8000/v1", api_key_env="MY_KEY")


def test_of_several_servers_none_is_a_setting_of_its_own():
    def model(base):
        return VideoCaptioningFromVLMMapper(backend="openai", api_base=base, hf_model="m").question(MESSAGES, 1).model

    assert model(["http://a/v1", "http://b/v1"]).api_base == ("http://a/v1", "http://b/v1")
    assert model(["http://a/v1"]) == model("http://a/v1")


@pytest.mark.parametrize(
    ("settings", "name", "sentence"),
    [
        ({"api_base": "http://x"}, "api_base", "api_base is for backend: openai, and the backend is hf"),
        ({"api_key_env": "K", "enable_vllm": True}, "api_key_env", "api_key_env is for backend: openai, and the backend is vllm"),
        (
            {"backend": "openai", "api_base": "localhost:8000"},
            "api_base",
            "api_base must be an address such as http://localhost:8000/v1, not 'localhost:8000'",
        ),
        (
            {"backend": "openai", "api_base": ["http://a/v1", 8000]},
            "api_base",
            "api_base must be an address such as http://localhost:8000/v1, not 8000",
        ),
        (
            {"backend": "openai", "api_key_env": "sk-secret"},
            "api_key_env",
            "api_key_env must be the name of an environment variable, not the key itself",
        ),
        (
            {"backend": "openai", "sampling_params": {"top_k": 20}},
            "sampling_params",
            "sampling_params: top_k is not part of OpenAI's API; if the server knows it, send it with model_params: "
            "{extra_body: {top_k: 20}}",
        ),
        (
            {"backend": "openai", "sampling_params": {"temperature": 3}},
            "sampling_params",
            "sampling_params: temperature is at most 2 for backend openai, not 3.0",
        ),
        (
            {"seed": 3, "sampling_params": {"seed": 4}},
            "sampling_params",
            "sampling_params: seed is 4 and the op's seed is 3: set one of them",
        ),
    ],
)
def test_what_does_not_fit_the_backend(settings, name, sentence):
    assert problems(**settings) == [(name, sentence)]


@pytest.mark.parametrize("backend", ["hf", "vllm", "openai"])
@pytest.mark.parametrize("candidates", [1, 4])
def test_the_defaults_are_valid_on_every_backend(backend, candidates):
    VideoCaptioningFromVLMMapper(backend=backend, caption_num=candidates)
    VideoCaptioningFromVLMMapper(backend=backend, sampling_params={"top_k": -1, "min_p": 0, "repetition_penalty": 1})


def test_a_seed_among_the_sampling_parameters_is_the_ops_seed():
    assert VideoCaptioningFromVLMMapper(sampling_params={"seed": 4}).question(MESSAGES, 1).seed == 4
    assert VideoCaptioningFromVLMMapper(sampling_params={"seed": 4}, seed=4).question(MESSAGES, 1).seed == 4


def test_how_an_op_is_run_is_no_part_of_its_fingerprint_nor_of_its_questions():
    plain = VideoCaptioningFromVLMMapper()
    op = VideoCaptioningFromVLMMapper(max_in_flight=3, decode_workers=2, decode_seconds=9.0, frame_memory_mb=7)
    assert op.fingerprint() == plain.fingerprint() != VideoCaptioningFromVLMMapper(seed=1).fingerprint()
    assert op.question(MESSAGES, 1) == plain.question(MESSAGES, 1)
    assert op.limits(5) == Limits(batch_size=5, in_flight=3, frame_bytes=7 * 2**20, workers=2, decode_seconds=9.0)
    assert plain.limits() == Limits()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"fps": float("inf")}, "fps must be at most 1000, not inf"),
        ({"hf_model": " "}, "hf_model is empty: name a model"),
        ({"caption_field": "videos"}, "caption_field and video_key both name the column 'videos': name another"),
        ({"provenance_field": "text"}, "provenance_field and text_key both name the column 'text': name another"),
        (
            {"caption_field": "c", "provenance_field": "c"},
            "provenance_field and caption_field both name the column 'c': name another",
        ),
    ],
)
def test_settings_that_cannot_be_meant(settings, sentence):
    with pytest.raises(SettingsError) as caught:
        VideoCaptioningFromVLMMapper(**settings)
    assert [message for _, message in caught.value.problems] == [sentence]


def test_whole_numbers_and_fractions_of_one_value_are_one_question():
    whole, fraction = (
        VideoCaptioningFromVLMMapper(fps=number, sampling_params={"temperature": number}).requests({"videos": ["a.mp4"]})
        for number in (2, 2.0)
    )
    digests = {"a.mp4": "x"}
    assert whole[0].key(digests, "e") == fraction[0].key(digests, "e")


def test_an_empty_cell_is_no_prompt():
    op = VideoCaptioningFromVLMMapper(prompt_key="ask", prompt="Q")
    asked = [op.requests({"videos": ["a.mp4"], "ask": ask})[0].messages[0].parts[1].value for ask in ("", None, "Why?")]
    assert asked == ["Q", "Q", "Why?"]


def test_media_may_be_path_objects():
    (request,) = VideoCaptioningFromVLMMapper().requests({"videos": Path("a.mp4")})
    assert request.media()[0].value == "a.mp4"
