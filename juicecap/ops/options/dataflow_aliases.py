"""DataFlow's names for the settings of a model's serving, and what they are called here.

Another name for a whole parameter is an alias (metadata `aliases` of its field). A name for one entry of `model_params` or
`sampling_params` is a part (metadata `parts`).
"""

from __future__ import annotations

from collections.abc import Mapping

MODEL_PARTS: Mapping[str, str] = {
    "hf_cache_dir": "cache_dir",
    "timeout": "timeout",
    "vllm_gpu_memory_utilization": "gpu_memory_utilization",
    "vllm_max_model_len": "max_model_len",
    "vllm_tensor_parallel_size": "tensor_parallel_size",
}
"""Name there -> entry of `model_params`."""

SAMPLING_PARTS: Mapping[str, str] = {
    "vllm_max_tokens": "max_tokens",
    "vllm_repetition_penalty": "repetition_penalty",
    "vllm_seed": "seed",
    "vllm_temperature": "temperature",
    "vllm_top_k": "top_k",
    "vllm_top_p": "top_p",
}
"""Name there -> entry of `sampling_params`."""

IGNORED: Mapping[str, str] = {
    "image_io": "pictures are read and sent by juicecap's own code",
    "send_request_stream": "an answer is taken when it is complete",
}
"""Names without an effect here, and why; they are accepted, and reported once as ignored."""
