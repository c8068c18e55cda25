"""What is going to be loaded: the engine's arguments, how many engines there are, and which devices each one sees.

`model_params` of a recipe are engine arguments and go to vLLM as they are. Of those, `data_parallel_size` is ours: so many
engines that know nothing of each other (one per GPU unless told). A model that does not fit into one GPU is split over the
fewest that it fits into; its size is that of its weight files, which are known for a folder and for a model that was
downloaded before. For others say `tensor_parallel_size`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from pydantic import ValidationError
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from juicecap.errors import ModelError
from juicecap.media.sizes import FrameSizes
from juicecap.sample import short_repr
from juicecap.text import first_line, near
from juicecap.vlm.backends.transformers_common.processor import (
    check_weights,
    context_length,
    frame_sizes,
    load_processor,
    panics_as_errors,
)
from juicecap.vlm.backends.vllm.process import configuring
from juicecap.vlm.base import TEMPLATE_KWARGS, ModelSettings, digest_of
from juicecap.vlm.context import CPU_MODEL_LEN, ContextLength
from juicecap.vlm.model_params import problems
from juicecap.vlm.models.folder import weight_bytes
from juicecap.vlm.models.names import local_folder, model_source
from juicecap.vlm.models.revision import folder_revision, lasting_name, legacy_revision

GIB = 2**30
CPU_KV_CACHE = 2 * GIB
CPU_BLOCK = 32
"""Tokens in a block of the KV cache. Candidates of one request share whole blocks of its prompt; vLLM's 128 leave them little."""

CPU_TOGETHER = 16
"""Requests that are handed over together on a CPU. The processes that decode share it: steps of the engine that read many
prompts cost less and leave them more of it. A GPU gets requests one by one, as soon as their frames are there."""

WEIGHTS_SHARE = 0.8
"""Of the memory that an engine may use; the rest is for what it remembers of its prompts."""

CHANGES_NO_ANSWER = {
    "async_scheduling",
    "block_size",
    "data_parallel_size",
    "disable_log_stats",
    "download_dir",
    "enable_prefix_caching",
    "gpu_memory_utilization",
    "hf_token",
    "kv_cache_memory_bytes",
    "max_num_batched_tokens",
    "max_num_seqs",
    "mm_processor_cache_gb",
    "pipeline_parallel_size",
    "tensor_parallel_size",
    "use_tqdm_on_load",
}
"""Parameters that another machine may need, with which answers from this one stay good."""


@dataclass(frozen=True)
class EngineConfig:
    """Engines to start, all of one model."""

    arguments: dict[str, Any]
    """Of each `AsyncEngineArgs`."""
    variables: tuple[dict[str, str], ...]
    """Environment variables of each engine's processes."""
    processor: Any
    sizes: FrameSizes
    together: int
    """Requests that are handed over in one call."""
    context: ContextLength
    revision: str
    identity: str
    facts: Mapping[str, str]
    """See `vlm.base.Backend`."""
    legacy_identity: Callable[[], str]
    """What versions before called it (`vlm.base.Backend`)."""


def make_config(settings: ModelSettings) -> EngineConfig:
    """Look at the model and at the machine; nothing is loaded yet but the processor.

    Raises:
        ModelError: there is no such model, it is no vision-language model, or vLLM does not take the parameters.
        EnvironmentFailure: the hub cannot be reached.
    """
    params = settings.engine_params()
    told = params.pop(TEMPLATE_KWARGS, None)
    if wrong := list(problems("vllm", {TEMPLATE_KWARGS: told})):
        raise ModelError(f"model_params: {'; '.join(wrong)}")
    params = engine_params(params)
    processor, source, on_cpu = load_processor(settings), model_source(settings.model), current_platform.is_cpu()
    folder = local_folder(settings.model, revision=params.get("revision"), cache=params.get("download_dir"))
    if folder:
        check_weights(folder)
    gpus = [] if on_cpu else _visible_devices()
    engines, pipeline = params.pop("data_parallel_size", None), params.get("pipeline_parallel_size", 1)
    if gpus and "tensor_parallel_size" not in params:
        memory, used = int(current_platform.get_device_total_memory()), params.get("gpu_memory_utilization", 0.9)
        share = fitting(_weights(source, params) // pipeline, memory, used)
        params["tensor_parallel_size"] = min(share, max(1, len(gpus) // pipeline))
    each = params.get("tensor_parallel_size", 1) * pipeline
    engines = engines or max(1, len(gpus) // each)
    arguments = {
        "model": source,
        "dtype": "float32" if on_cpu else "bfloat16",
        "mm_processor_cache_gb": 0,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        **params,
    }
    config = _model_config(settings, arguments)
    if on_cpu:
        arguments = {**cpu_defaults(arguments, config.max_model_len), **arguments}
    length = _validated(settings, arguments).max_model_len
    own = context_length(config.hf_config, processor)
    commit = getattr(config.hf_config, "_commit_hash", None)
    revision = folder_revision(settings.model) or str(commit or "unknown")
    telling = {name: value for name, value in params.items() if name not in CHANGES_NO_ANSWER | {"dtype"}}
    telling |= {TEMPLATE_KWARGS: told} if told else {}
    template = digest_of(str(processor.chat_template))
    facts = [str(config.dtype), telling, template]
    return EngineConfig(
        arguments=arguments,
        variables=tuple(_variables(gpus, engines, each)),
        processor=processor,
        sizes=frame_sizes(processor),
        together=CPU_TOGETHER if on_cpu else 1,
        context=ContextLength(length, own if own and own > length else None),
        revision=revision,
        identity=digest_of(["vllm", lasting_name(settings.model), revision, *facts]),
        facts={"dtype": str(config.dtype).removeprefix("torch."), "chat_template": template},
        legacy_identity=lambda: digest_of(
            ["vllm", settings.model, str(commit or legacy_revision(settings.model) or "unknown"), *facts]
        ),
    )


def engine_params(given: Mapping[str, Any]) -> dict[str, Any]:
    """`model_params` in vLLM's words: `torch_dtype` is its `dtype`.

    Raises:
        ModelError: vLLM has no such parameter.
    """
    params = dict(given)
    if "torch_dtype" in params:
        params.setdefault("dtype", params["torch_dtype"])
        del params["torch_dtype"]
    if "model" in params:
        raise ModelError("model_params: the model is not set here; hf_model is its name")
    known = {field.name for field in fields(AsyncEngineArgs)}
    for name in params:
        if name not in known:
            found = near(name, known)
            hint = f"did you mean {found!r}?" if found else "its documentation lists them under engine arguments"
            raise ModelError(f"model_params: vLLM has no engine parameter {name!r}; {hint}")
    for name in ("data_parallel_size", "pipeline_parallel_size", "tensor_parallel_size"):
        if name in params and (type(params[name]) is not int or params[name] < 1):
            raise ModelError(f"model_params: {name} must be an integer > 0, not {params[name]!r}")
    return params


def fitting(weights: int, memory: int, utilization: float) -> int:
    """Into how many GPUs of `memory` bytes the `weights` fit: the least power of two, since it divides attention heads."""
    share = weights / (memory * utilization * WEIGHTS_SHARE)
    return 2 ** max(0, math.ceil(math.log2(share))) if share > 0 else 1


def shares(devices: list[str], engines: int, each: int) -> list[list[str]]:
    """The devices of each engine: `each` of them, for all its tensor parallel parts of all its pipeline's stages.

    Raises:
        ModelError: there are too few.
    """
    if engines * each > len(devices):
        raise ModelError(
            f"model_params: data_parallel_size {engines} x {each} (tensor_parallel_size x pipeline_parallel_size) needs "
            f"{engines * each} GPUs; {len(devices)} can be seen: lower one of them"
        )
    return [devices[number * each : (number + 1) * each] for number in range(engines)]


def cpu_defaults(arguments: Mapping[str, Any], model_len: int) -> dict[str, Any]:
    """What works on a CPU, where vLLM compiles slowly and would take most of the memory.

    Prompts are read in one piece: on a CPU a seeded request that is read in parts kills the engine. The model runs in the
    engine's own process, as it does on one GPU: a process beside it would keep a core busy with waiting.
    """
    length = arguments.get("max_model_len") or min(model_len, CPU_MODEL_LEN)
    defaults = {
        "enforce_eager": True,
        "max_model_len": length,
        "block_size": CPU_BLOCK,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(length, CPU_MODEL_LEN),
    }
    if arguments.get("tensor_parallel_size", 1) == arguments.get("pipeline_parallel_size", 1) == 1:
        defaults["distributed_executor_backend"] = UniProcExecutor
    if "gpu_memory_utilization" not in arguments and not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
        defaults["kv_cache_memory_bytes"] = CPU_KV_CACHE
    return defaults


def _model_config(settings: ModelSettings, arguments: Mapping[str, Any]) -> Any:
    with _accepting(settings), configuring():
        return AsyncEngineArgs(**arguments).create_model_config()


def _validated(settings: ModelSettings, arguments: Mapping[str, Any]) -> Any:
    """The model's part of the engine's whole configuration, with which the engine is going to be started."""
    with _accepting(settings), configuring():
        return AsyncEngineArgs(**arguments).create_engine_config().model_config


@contextmanager
def _accepting(settings: ModelSettings) -> Iterator[None]:
    """The door to vLLM's configuration.

    Raises:
        ModelError: instead of whatever else.
    """
    try:
        with panics_as_errors():
            yield
    except ValidationError as error:
        raise ModelError(refusal(error)) from error
    except Exception as error:  # a foreign loader's door
        raise ModelError(f"{settings.model} cannot be loaded by vLLM: {first_line(error)}") from error


def refusal(error: ValidationError) -> str:
    """What is wrong with the first value that vLLM refuses, by name where it tells one."""
    first = error.errors(include_url=False)[0]
    named, told = [str(part) for part in first["loc"][:1]], first["msg"].removeprefix("Value error, ")
    if not named:
        return f"model_params: vLLM refuses them: {told}"
    return f"model_params: vLLM refuses {named[0]}: {short_repr(first['input'])}: {told[:1].lower()}{told[1:]}"


def _visible_devices() -> list[str]:
    told = os.environ.get(current_platform.device_control_env_var)
    if told:
        return [device.strip() for device in told.split(",")]
    return [str(number) for number in range(current_platform.device_count())]


def _variables(gpus: list[str], engines: int, each: int) -> list[dict[str, str]]:
    if gpus:
        return [{current_platform.device_control_env_var: ",".join(share)} for share in shares(gpus, engines, each)]
    alone = engines == 1 or "VLLM_CPU_OMP_THREADS_BIND" in os.environ
    return [{} if alone else {"VLLM_CPU_OMP_THREADS_BIND": "nobind"} for _ in range(engines)]  # all would take the same cores


def _weights(source: str, params: Mapping[str, Any]) -> int:
    """Bytes of a model's weight files; 0 if they are not on this machine."""
    folder = local_folder(source, revision=params.get("revision"), cache=params.get("download_dir"))
    return weight_bytes(folder) if folder else 0
