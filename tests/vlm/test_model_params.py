"""What `model_params` may hold, by backend."""

from __future__ import annotations

import inspect
import re

import pytest

from juicecap.vlm.catalog import BACKENDS
from juicecap.vlm.model_params import problems, unknown, unknown_to_template


@pytest.mark.parametrize(
    ("backend", "params", "found"),
    [
        ("hf", {"max_num_seqs": 4}, "max_num_seqs is for backend: vllm, and the backend is hf"),
        ("hf", {"extra_body": {}}, "extra_body is for backend: openai, and the backend is hf"),
        ("vllm", {"attn_implementation": "sdpa"}, "attn_implementation is for backend: hf, and the backend is vllm"),
        ("openai", {"dtype": "bfloat16"}, "dtype is for backend: hf or vllm, and the backend is openai"),
        (
            "hf",
            {"dtype": "floot32"},
            "dtype must be one of auto, bfloat16, float16, float32, float64, half, float, double, not 'floot32'; "
            "did you mean 'float32'?",
        ),
        ("vllm", {"torch_dtype": 7}, "torch_dtype must be one of auto, bfloat16, float16, float32, half, float, not 7"),
        ("hf", {"revision": 1234567}, "revision must be text, not 1234567: write it in quotes"),
        ("hf", {"cache_dir": ["x"]}, "cache_dir must be text, not ['x']: write it in quotes"),
        ("vllm", {"download_dir": True}, "download_dir must be text, not True: write it in quotes"),
        ("hf", {"chat_template_kwargs": 3}, "chat_template_kwargs must be a mapping, such as {enable_thinking: false}, not 3"),
        ("vllm", {"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs cannot set 'messages'"),
        ("openai", {"chat_template_kwargs": {"no name": 1}}, "chat_template_kwargs cannot set 'no name'"),
        ("hf", {"model": "x"}, "model is not set here: hf_model is the model's name"),
        ("vllm", {"model": "x"}, "model is not set here: hf_model is the model's name"),
        ("hf", {"generation_config": "auto"}, "generation_config is not set here: sampling_params say how tokens are drawn"),
        (
            "hf",
            {"use_safetensors": False},
            "use_safetensors can only be true: other files of weights can run code when they are loaded; convert the model",
        ),
    ],
)
def test_what_a_backend_cannot_take(backend, params, found):
    assert list(problems(backend, params)) == [found]


@pytest.mark.parametrize(
    ("backend", "params"),
    [
        ("hf", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("vllm", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("openai", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("hf", {"dtype": "auto", "revision": "main", "use_safetensors": True, "trust_remote_code": True, "whatever": 1}),
        ("vllm", {"dtype": "half", "revision": "main", "quantization": "fp8", "cache_dir": "x", "generation_config": "vllm"}),
        ("openai", {"timeout": 3, "transport": "images", "whatever": 1}),
    ],
)
def test_what_it_takes_or_may_take(backend, params):
    assert list(problems(backend, params)) == []


def test_what_transformers_does_not_know():
    params = {"dtyp": "float32", "vision_config": {}, "banana": 1, "device_map": "auto"}
    assert list(unknown("hf", params, ["vision_config"])) == [
        "the hf backend has no parameter 'dtyp' (did you mean 'dtype'?)",
        "the hf backend has no parameter 'banana' (it has attn_implementation, cache_dir, device_map, dtype, "
        "quantization_config, revision, trust_remote_code and others)",
    ]


def test_what_a_template_does_not_look_at():
    assert list(unknown_to_template(["enable_thinkin", "depth", "enable_thinking"], ["enable_thinking"])) == [
        "chat_template_kwargs: the model's chat template has nothing called 'enable_thinkin' (did you mean 'enable_thinking'?)",
        "chat_template_kwargs: the model's chat template has nothing called 'depth' (it looks at enable_thinking)",
    ]


def test_the_names_are_those_of_from_pretrained():
    transformers = pytest.importorskip("transformers")
    from transformers.models.auto import auto_factory

    method = transformers.PreTrainedModel.from_pretrained
    text = inspect.getsource(method) + inspect.getsource(auto_factory._BaseAutoModelClass.from_pretrained)
    taken = set(re.findall(r'"(\w+)"', text))
    taken |= set(inspect.signature(method).parameters)
    known = {*BACKENDS["hf"].parameters, *BACKENDS["hf"].refused}
    assert known <= taken
    popped = set(re.findall(r'kwargs\.pop\(\s*"([a-z]\w*)"', text)) | set(inspect.signature(method).parameters)
    internal = {"adapter_name", "device_mesh", "tqdm_class", "kwargs", "model_args"}
    assert popped - known == internal & popped


def test_the_names_are_those_of_vllm():
    pytest.importorskip("vllm", reason="vLLM is not installed: .ci/run runs these tests in its vLLM lane")
    from dataclasses import fields
    from typing import get_args

    from vllm.config.model import ModelDType
    from vllm.engine.arg_utils import AsyncEngineArgs

    assert {*BACKENDS["vllm"].parameters} - {field.name for field in fields(AsyncEngineArgs)} == {"cache_dir", "torch_dtype"}
    assert {*BACKENDS["vllm"].dtypes} == {*get_args(ModelDType)}
