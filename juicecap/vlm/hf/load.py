"""Loading a model and its processor, and what can be said of them before the first sample."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig
from transformers.utils import logging

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.vlm.base import ModelSettings, digest_of
from juicecap.vlm.models import model_source
from juicecap.vlm.sizes import PixelBudget


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer. `revision` names the weights: the hub's commit, or a digest of a local folder's files."""

    model: Any
    processor: Any
    revision: str
    identity: str
    budgets: dict[str, PixelBudget]
    """Pixel budgets by kind of medium; empty for a processor whose sizes juicecap does not know."""


def load(settings: ModelSettings) -> Loaded:
    """Load what `settings` name: bfloat16 on a GPU and float32 on a CPU unless `model_params` say otherwise.

    Raises:
        ModelError: there is no such model, or it is not a vision-language model.
        EnvironmentFailure: it is there but cannot be loaded (out of memory, no network).
    """
    params = settings.engine_params()
    source = model_source(settings.model)
    gpu = torch.cuda.is_available()
    dtype = params.pop("dtype", None) or params.pop("torch_dtype", None) or ("bfloat16" if gpu else "float32")
    shared = {name: params[name] for name in ("revision", "cache_dir", "trust_remote_code", "token") if name in params}
    if gpu:
        params.setdefault("device_map", "auto")
    try:
        with _without_bars():
            processor = AutoProcessor.from_pretrained(source, **shared)
            model = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype, use_safetensors=True, **params)
    except torch.OutOfMemoryError as error:
        raise EnvironmentFailure(f"{settings.model} does not fit into the GPU's memory") from error
    except Exception as error:  # a foreign loader's door: damaged files and wrong parameters raise whatever they meet
        if _is_offline(error):
            text = f"{settings.model} is not on this machine, and the Hugging Face hub cannot be reached"
            raise EnvironmentFailure(text) from error
        raise ModelError(f"{settings.model} cannot be loaded as a vision-language model: {_first_line(error)}") from error
    if not hasattr(processor, "tokenizer"):
        raise ModelError(f"{settings.model} has no processor that reads pictures; name a vision-language model")
    if not processor.chat_template:
        raise ModelError(f"{settings.model} has no chat template; name a model that was trained to follow instructions")
    _forget_generation_defaults(model, processor)
    revision = _revision(source, model)
    facts = ["hf", settings.model, revision, str(model.dtype), settings.params, digest_of(str(processor.chat_template))]
    return Loaded(model.eval(), processor, revision, digest_of(facts), _budgets(processor))


@contextmanager
def _without_bars() -> Iterator[None]:
    """A run has a progress display of its own."""
    before = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            logging.enable_progress_bar()


def _forget_generation_defaults(model: Any, processor: Any) -> None:
    """Sampling defaults are juicecap's; of the model's own generation settings only the special tokens stay."""
    own = model.generation_config
    ends = own.eos_token_id if own.eos_token_id is not None else processor.tokenizer.eos_token_id
    pad = own.pad_token_id if own.pad_token_id is not None else processor.tokenizer.pad_token_id
    if pad is None:
        pad = ends[0] if isinstance(ends, list) else ends
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=pad, bos_token_id=own.bos_token_id)


def _revision(source: str, model: Any) -> str:
    commit = getattr(model.config, "_commit_hash", None)
    folder = Path(source)
    if commit or not folder.is_dir():
        return str(commit or "unknown")
    state = hashlib.blake2b(digest_size=6)
    for file in sorted(folder.iterdir()):
        if file.is_file():
            state.update(file.name.encode())
            state.update(file.read_bytes() if file.stat().st_size < 2**24 else str(file.stat().st_size).encode())
    return state.hexdigest()


def _budgets(processor: Any) -> dict[str, PixelBudget]:
    """Budgets of the Qwen-VL family's processors (2, 2.5, 3), recognised by how they cut pictures into patches."""
    found = {}
    for kind in ("image", "video"):
        part: Any = getattr(processor, f"{kind}_processor", None)
        size = getattr(part, "size", None) or {}
        if not all(getattr(part, name, None) for name in ("patch_size", "merge_size", "temporal_patch_size")):
            continue
        if not size.get("shortest_edge") or not size.get("longest_edge"):
            continue
        whole = kind == "video" and type(part).__name__.startswith("Qwen3")
        found[kind] = PixelBudget(
            factor=part.patch_size * part.merge_size,
            shortest=size["shortest_edge"],
            longest=size["longest_edge"],
            whole_video=whole,
            temporal=part.temporal_patch_size,
            frame_tokens=part.max_video_tokens if whole and part.cap_pixels_per_frame else None,
        )
    return found


def _is_offline(error: BaseException | None) -> bool:
    """Whether the hub was asked for a file that is not in the cache, and did not answer."""
    while error is not None:
        if isinstance(error, LocalEntryNotFoundError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
