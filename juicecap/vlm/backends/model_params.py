"""What `model_params` may hold, by backend, as far as that is known without opening a library of models.

Of `hf` all names are known but those of a model's own config, which may be set as well. Of `vllm` the names here are those that
it has in common with `hf`, and those that recipes use; the rest is compared with the library when an engine is planned.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from juicecap.vlm.backends.openai.options import KNOWN as OPENAI

HF = (
    "adapter_kwargs", "allow_all_kernels", "attn_implementation", "cache_dir", "code_revision", "device_map", "disable_mmap",
    "distributed_config", "dtype", "experts_implementation", "force_download", "fusion_config", "ignore_mismatched_sizes",
    "kernel_config", "key_mapping", "local_files_only", "low_cpu_mem_usage", "max_memory", "offload_buffers", "offload_folder",
    "proxies", "quantization_config", "revision", "subfolder", "token", "torch_dtype", "tp_plan", "tp_size", "trust_remote_code",
    "use_kernels", "use_safetensors", "variant", "weights_only",
)  # fmt: skip
"""Parameters of `from_pretrained`; a test compares with transformers."""

VLLM = (
    "async_scheduling", "attention_backend", "block_size", "cache_dir", "code_revision", "compilation_config", "cpu_offload_gb",
    "data_parallel_size", "disable_custom_all_reduce", "disable_log_stats", "distributed_executor_backend", "download_dir",
    "dtype", "enable_chunked_prefill", "enable_expert_parallel", "enable_lora", "enable_prefix_caching", "enforce_eager",
    "gpu_memory_utilization", "hf_overrides", "hf_token", "kernel_config", "kv_cache_dtype", "kv_cache_memory_bytes",
    "limit_mm_per_prompt", "load_format", "max_lora_rank", "max_loras", "max_model_len", "max_num_batched_tokens", "max_num_seqs",
    "mm_encoder_tp_mode", "mm_processor_cache_gb", "mm_processor_kwargs", "pipeline_parallel_size", "quantization",
    "quantization_config", "revision", "seed", "skip_mm_profiling", "tensor_parallel_size", "tokenizer",
    "tokenizer_mode", "torch_dtype", "trust_remote_code",
)  # fmt: skip
"""Engine arguments; a test compares with vLLM. `cache_dir` and `torch_dtype` are other names of two of them."""

USUAL = ("attn_implementation", "cache_dir", "device_map", "dtype", "quantization_config", "revision", "trust_remote_code")
"""What recipes set for `hf`."""

NOT_SET_HERE = {
    "config": "it is the model's own",
    "generation_config": "sampling_params say how tokens are drawn",
    "gguf_file": "weights are read from safetensors files; convert the model",
    "model": "hf_model is the model's name",
    "output_loading_info": "nobody would read it",
    "pretrained_model_name_or_path": "hf_model is the model's name",
    "state_dict": "weights are those of the model",
}
"""Names that `hf` knows and a recipe does not set, and why; `model` is one of `vllm`'s too."""

TEXTS = ("cache_dir", "code_revision", "download_dir", "revision", "subfolder")
"""Parameters that are text, which a commit of digits alone is not unless it stands in quotes."""

DTYPES: Mapping[str, tuple[str, ...]] = {
    "hf": ("auto", "bfloat16", "float16", "float32", "float64", "half", "float", "double"),
    "vllm": ("auto", "bfloat16", "float16", "float32", "half", "float"),
}

_HOMES = {"hf": HF, "openai": OPENAI, "vllm": VLLM}


def problems(backend: str, params: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each parameter that this backend cannot take whatever the model is."""
    for name, value in params.items():
        homes = [home for home, names in _HOMES.items() if name in names]
        if homes and backend not in homes:
            yield f"{name} is for backend: {' or '.join(homes)}, and the backend is {backend}"
        elif name in NOT_SET_HERE and (backend == "hf" or (backend, name) == ("vllm", "model")):
            yield f"{name} is not set here: {NOT_SET_HERE[name]}"
        elif name == "use_safetensors" and value is not True:
            yield "use_safetensors can only be true: other files of weights can run code when they are loaded; convert the model"
        elif name in TEXTS and backend in DTYPES and not isinstance(value, str | None):
            yield f"{name} must be text, not {value!r}: write it in quotes"
        elif name in ("dtype", "torch_dtype") and backend in DTYPES and value not in DTYPES[backend]:
            near = difflib.get_close_matches(str(value), DTYPES[backend], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield f"{name} must be one of {', '.join(DTYPES[backend])}, not {value!r}{hint}"


def unknown_to_hf(params: Mapping[str, Any], config: Collection[str]) -> Iterator[str]:
    """A sentence for each parameter that neither `from_pretrained` has nor the model's `config`, by the names in it."""
    for name in params:
        if name in HF or name in config:
            continue
        near = difflib.get_close_matches(name, HF, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(USUAL)} and others"
        yield f"the hf backend has no parameter {name!r} ({hint})"
