"""The table of backends: the name, requirements, parameters and limits of each. No backend is imported for it.

All facts about a backend are in its `BackendSpec`; no other module compares names of backends. Installed packages offer more
backends by entry points of the group `juicecap.backends`, whose values are `BackendSpec`s.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from juicecap.errors import EnvironmentFailure
from juicecap.vlm.base import ModelSettings, Sampling
from juicecap.vlm.context import ContextLength, context_in_vllm

GROUP = "juicecap.backends"


@dataclass(frozen=True, kw_only=True)
class BackendSpec:
    """The facts about a backend that are known without importing its libraries."""

    describe: str
    """Where the function is that describes and opens it (`vlm.base.Describe`), as `package.module:function`."""
    libraries: tuple[str, ...] = ()
    """Libraries that must be installed."""
    extra: str = ""
    """The extra of juicecap that installs it; empty: the package that offers the backend."""
    is_remote: bool = False
    """Whether the model is on a server: it has an address and a key, and files of this machine do not concern it."""
    tries_first: bool = False
    """Whether `describe` takes a request as `first`, whose parameters it tries out."""
    check_settings: str = ""
    """A function of `ModelSettings` that raises what is wrong with them, as `package.module:function`."""
    parameters: tuple[str, ...] = ()
    """Names that `model_params` may have, as far as they are known here."""
    takes_config: bool = False
    """Whether `model_params` may also hold names of the model's own config, and only these and `parameters`."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Names that `model_params` may not have, and why."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Names in `model_params` that the engine knows under another name."""
    dtypes: tuple[str, ...] = ()
    """Values of `dtype`; empty: it has no such parameter."""
    runs_code: bool = False
    """Whether a model's files may name code and adapters, which the recipe must allow."""
    context: Callable[[Mapping[str, Any], ContextLength | None], ContextLength | None] | None = None
    """How many tokens fit, from `model_params` and the model's own limit; None: the model's own limit."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Names of `sampling_params` that it does not have, and what to do instead (`{value}` is the requested value)."""
    largest_temperature: float | None = None
    requests_at_once: int = 0
    """Requests that an engine works on together, for estimates of its memory; 0: it does not run on this machine."""

    def sampling_problems(self, name: str, sampling: Sampling) -> list[str]:
        """A sentence for each parameter that is set to something which the backend, called `name`, does not have."""
        neutral = Sampling()
        found = [
            f"{parameter} " + why.replace("{value}", str(getattr(sampling, parameter)))
            for parameter, why in self.lacks.items()
            if getattr(sampling, parameter) != getattr(neutral, parameter)
        ]
        if self.largest_temperature is not None and sampling.temperature > self.largest_temperature:
            found.append(f"temperature is at most {self.largest_temperature:g} for backend {name}, not {sampling.temperature}")
        return found


def _not_openai(parameter: str) -> str:
    instead = "{extra_body: {" + parameter + ": {value}}}"
    return f"is not part of OpenAI's API; if the server knows it, send it with model_params: {instead}"


BACKENDS: dict[str, BackendSpec] = {
    "hf": BackendSpec(
        describe="juicecap.vlm.backends.hf.backend:describe",
        libraries=("torch", "torchvision", "transformers", "accelerate"),
        extra="hf",
        # Parameters of `from_pretrained`; a test compares with transformers.
        parameters=(
            "adapter_kwargs", "allow_all_kernels", "attn_implementation", "cache_dir", "code_revision", "device_map",
            "disable_mmap", "distributed_config", "dtype", "experts_implementation", "force_download", "fusion_config",
            "ignore_mismatched_sizes", "kernel_config", "key_mapping", "local_files_only", "low_cpu_mem_usage", "max_memory",
            "offload_buffers", "offload_folder", "proxies", "quantization_config", "revision", "subfolder", "token",
            "torch_dtype", "tp_plan", "tp_size", "trust_remote_code", "use_kernels", "use_safetensors", "variant", "weights_only",
        ),
        takes_config=True,
        refused={
            "config": "it is the model's own",
            "generation_config": "sampling_params say how tokens are drawn",
            "gguf_file": "weights are read from safetensors files; convert the model",
            "model": "hf_model is the model's name",
            "output_loading_info": "nobody would read it",
            "pretrained_model_name_or_path": "hf_model is the model's name",
            "state_dict": "weights are those of the model",
        },
        dtypes=("auto", "bfloat16", "float16", "float32", "float64", "half", "float", "double"),
        runs_code=True,
        requests_at_once=32,
    ),
    "openai": BackendSpec(
        describe="juicecap.vlm.backends.openai.backend:describe",
        libraries=("openai",),
        extra="openai",
        is_remote=True,
        tries_first=True,
        check_settings="juicecap.vlm.backends.openai.options:options_of",
        parameters=("transport", "timeout", "max_attempts", "extra_body"),
        lacks={parameter: _not_openai(parameter) for parameter in ("top_k", "min_p", "repetition_penalty")},
        largest_temperature=2,
    ),
    "vllm": BackendSpec(
        describe="juicecap.vlm.backends.vllm.backend:describe",
        libraries=("vllm", "torch", "torchvision", "transformers"),
        extra="vllm",
        # Engine arguments that recipes use or that hf has too; a test compares with vLLM, which is asked for the others.
        parameters=(
            "async_scheduling", "attention_backend", "block_size", "cache_dir", "code_revision", "compilation_config",
            "cpu_offload_gb", "data_parallel_size", "disable_custom_all_reduce", "disable_log_stats",
            "distributed_executor_backend", "download_dir", "dtype", "enable_chunked_prefill", "enable_expert_parallel",
            "enable_lora", "enable_prefix_caching", "enforce_eager", "gpu_memory_utilization", "hf_overrides", "hf_token",
            "kernel_config", "kv_cache_dtype", "kv_cache_memory_bytes", "limit_mm_per_prompt", "load_format", "max_lora_rank",
            "max_loras", "max_model_len", "max_num_batched_tokens", "max_num_seqs", "mm_encoder_tp_mode",
            "mm_processor_cache_gb", "mm_processor_kwargs", "pipeline_parallel_size", "quantization", "quantization_config",
            "revision", "seed", "skip_mm_profiling", "tensor_parallel_size", "tokenizer", "tokenizer_mode", "torch_dtype",
            "trust_remote_code",
        ),
        refused={"model": "hf_model is the model's name"},
        renamed={"cache_dir": "download_dir"},
        dtypes=("auto", "bfloat16", "float16", "float32", "half", "float"),
        context=context_in_vllm,
        largest_temperature=2,
        requests_at_once=256,
    ),
}  # fmt: skip
"""The built-in ones, in alphabetical order."""


@functools.cache
def entry_points() -> Mapping[str, importlib.metadata.EntryPoint]:
    """Backends that installed packages offer, by name; none of them is imported yet. None takes a built-in one's name."""
    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP) if point.name not in BACKENDS}


def names() -> tuple[str, ...]:
    """The names of all backends: the built-in ones, those on this machine first, and then the installed ones."""
    return (*sorted(BACKENDS, key=lambda name: (BACKENDS[name].is_remote, name)), *sorted(entry_points()))


def spec_of(settings: ModelSettings) -> BackendSpec:
    """The `BackendSpec` for these settings.

    Raises:
        EnvironmentFailure: the package that offers it cannot be imported.
    """
    return find(settings.backend)


def find(name: str) -> BackendSpec:
    """The `BackendSpec` of this name.

    Raises:
        KeyError: there is none.
        EnvironmentFailure: the package that offers it cannot be imported.
    """
    if name in BACKENDS:
        return BACKENDS[name]
    point = entry_points()[name]
    try:
        spec = point.load()
    except Exception as error:  # foreign code may raise anything
        raise EnvironmentFailure(f"the backend {name} ({point.value}) cannot be imported: {error}") from error
    if not isinstance(spec, BackendSpec):
        raise EnvironmentFailure(f"the backend {name} ({point.value}) is no BackendSpec: {spec!r:.100}")
    return spec
