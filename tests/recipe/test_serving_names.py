"""DataFlow's names in recipes: another one of a parameter, of an entry of one, or without effect."""

from __future__ import annotations

import json

import pytest

from juicecap.recipe import compat

LOCAL = """\
process:
  - video_to_caption_generator:
      backend: vllm
      hf_model_name_or_path: juicecap-demo-vlm
      hf_cache_dir: ./models
      vllm_tensor_parallel_size: 2
      vllm_max_model_len: 4096
      vllm_gpu_memory_utilization: 0.8
      vllm_temperature: 0.7
      vllm_top_p: 0.9
      vllm_top_k: 20
      vllm_max_tokens: 99
      vllm_repetition_penalty: 1.1
      vllm_seed: 42
"""
API = """\
process:
  - image_caption_generator:
      system_prompt: Be brief.
      backend: openai
      api_url: https://example.org/v1/chat/completions
      key_name_of_api_key: MY_KEY
      model_name: gpt
      max_workers: 12
      timeout: 1800
      image_io: null
      send_request_stream: false
"""


def test_local_serving(load):
    recipe = load(LOCAL)
    op = recipe.steps[0].op
    (request,) = op.requests({"video": "a.mp4"})
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.7, 0.9, 20)
    assert (sampling.max_tokens, sampling.repetition_penalty, request.seed) == (99, 1.1, 42)
    assert request.model.model == "juicecap-demo-vlm"
    assert json.loads(request.model.params) == {
        "download_dir": "./models",
        "tensor_parallel_size": 2,
        "max_model_len": 4096,
        "gpu_memory_utilization": 0.8,
    }


def test_what_is_an_alias_is_said(load):
    said = [each for each in load(LOCAL).notices if "another name" in each]
    assert said[:3] == [
        "video_to_caption_generator: 'hf_model_name_or_path' is another name of 'hf_model'",
        "video_to_caption_generator: 'hf_cache_dir' is another name of 'model_params.cache_dir'",
        "video_to_caption_generator: 'vllm_tensor_parallel_size' is another name of 'model_params.tensor_parallel_size'",
    ]
    assert said[-1] == "video_to_caption_generator: 'vllm_seed' is another name of 'sampling_params.seed'"
    assert len(said) == 11


def test_the_cache_of_the_hub_has_the_name_that_the_backend_knows(load):
    recipe = load("process:\n  - video_to_caption_generator: {hf_cache_dir: ./models}\n")
    assert json.loads(recipe.steps[0].op.engines()[0].params) == {"cache_dir": "./models"}


def test_an_api(load):
    recipe = load(API)
    op = recipe.steps[0].op
    assert (op.hf_model, op.api_base, op.api_key_env, op.max_in_flight) == (
        "gpt",
        "https://example.org/v1/chat/completions",
        "MY_KEY",
        12,
    )
    assert op.model_params == {"timeout": 1800}
    assert op.limits().in_flight == 12
    assert [each for each in recipe.notices if "no effect" in each] == [
        "image_caption_generator: 'image_io' has no effect: pictures are read and sent by juicecap's own code",
        "image_caption_generator: 'send_request_stream' has no effect: an answer is taken when it is complete",
    ]


def test_max_workers_is_no_part_of_the_fingerprint(load):
    ops = [load(f"process:\n  - video_to_caption_generator: {{max_workers: {number}}}\n").steps[0].op for number in (1, 2)]
    assert ops[0].fingerprint() == ops[1].fingerprint()


def test_names_of_every_op_that_asks_a_model(load):
    recipe = load("process:\n  - video_captioning_from_vlm_mapper: {hf_model_name_or_path: m, vllm_temperature: 0.5}\n")
    assert recipe.steps[0].op.hf_model == "m"
    assert recipe.steps[0].op.token_sampling(1).temperature == 0.5


def test_null_is_not_set(load):
    op = load("process:\n  - video_to_caption_generator: {vllm_seed: null, vllm_max_model_len: null}\n").steps[0].op
    assert (op.sampling_params, op.model_params) == (None, None)


def test_parts_and_the_whole_make_one(load):
    text = "process:\n  - video_to_caption_generator: {vllm_top_k: 3, sampling_params: {temperature: 0.5}}\n"
    assert load(text).steps[0].op.sampling_params == {"temperature": 0.5, "top_k": 3}


@pytest.mark.parametrize(
    ("block", "place", "sentence"),
    [
        (
            "{hf_model: a, model_name: b}",
            "2:59",
            "video_to_caption_generator[1]: model_name is another name of 'hf_model', which is set as well",
        ),
        (
            "{vllm_top_k: 3, sampling_params: {top_k: 4}}",
            "2:46",
            "video_to_caption_generator[1]: vllm_top_k is another name of 'sampling_params.top_k', which is set as well",
        ),
        (
            "{vllm_temperature: 0.5, vllm_top_p: 7}",
            "2:57",
            "video_to_caption_generator[1]: sampling_params: top_p must be a number > 0 and <= 1, not 7",
        ),
        (
            "{vllm_max_model_len: 7}",
            "2:34",
            "video_to_caption_generator[1]: model_params: max_model_len is for backend: vllm, and the backend is hf",
        ),
        (
            "{timeout: 7}",
            "2:34",
            "video_to_caption_generator[1]: model_params: timeout is for backend: openai, and the backend is hf",
        ),
    ],
)
def test_what_cannot_be(complain, block, place, sentence):
    report = complain(f"process:\n  - video_to_caption_generator: {block}\n")
    assert sentence in report
    assert report.startswith(f"recipe.yaml:{place}: ")


@pytest.mark.parametrize("key", ["video_key", "image_key", "text_key"])
def test_columns_that_the_op_names_by_parameters_of_its_own(load, key):
    recipe = load(f"process:\n  - video_to_caption_generator: {{{key}: x}}\n")
    assert (
        f"video_to_caption_generator: {key!r} has no effect: the op has parameters of its own for its columns" in recipe.notices
    )


@pytest.mark.parametrize("key", compat.DATAFLOW)
def test_settings_of_the_storage_are_answered_by_name(complain, key):
    answer = compat.DATAFLOW[key]
    top = complain(f"{key}: ./cache\nprocess: []\n")
    assert top.startswith(f"recipe.yaml:1:1: {key!r} is a setting of DataFlow's storage that juicecap does not take\n")
    assert answer in top
    assert answer in complain(f"process:\n  - video_to_caption_generator: {{{key}: x}}\n")


def test_cache_path_and_prefix_lead_to_work_dir_and_keep_steps():
    assert "work_dir" in compat.DATAFLOW["cache_path"]
    assert "keep_steps" in compat.DATAFLOW["file_name_prefix"]
