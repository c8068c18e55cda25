"""Loading a model, and what can be said of it before the first sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, GenerationConfig

from juicecap.errors import EnvironmentFailure
from juicecap.media.sizes import FrameSizes
from juicecap.vlm.base import ModelSettings, digest_of
from juicecap.vlm.hf.processor import folder_revision, frame_sizes, load_processor, loading
from juicecap.vlm.models import model_source


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer. `revision` names the weights: the hub's commit, or a digest of a local folder's files."""

    model: Any
    processor: Any
    revision: str
    identity: str
    sizes: FrameSizes


def load(settings: ModelSettings) -> Loaded:
    """Load what `settings` name: bfloat16 on a GPU and float32 on a CPU unless `model_params` say otherwise.

    Raises:
        ModelError: there is no such model, or it is not a vision-language model.
        EnvironmentFailure: it is there but cannot be loaded (out of memory, no network).
    """
    params, source = settings.engine_params(), model_source(settings.model)
    gpu = torch.cuda.is_available()
    dtype = params.pop("dtype", None) or params.pop("torch_dtype", None) or ("bfloat16" if gpu else "float32")
    if gpu:
        params.setdefault("device_map", "auto")
    processor = load_processor(settings)
    with loading(settings):
        try:
            model = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype, use_safetensors=True, **params)
        except torch.OutOfMemoryError as error:
            raise EnvironmentFailure(f"{settings.model} does not fit into the GPU's memory") from error
    _forget_generation_defaults(model, processor)
    revision = str(getattr(model.config, "_commit_hash", None) or folder_revision(source))
    facts = ["hf", settings.model, revision, str(model.dtype), settings.params, digest_of(str(processor.chat_template))]
    return Loaded(model.eval(), processor, revision, digest_of(facts), frame_sizes(processor))


def _forget_generation_defaults(model: Any, processor: Any) -> None:
    """Sampling defaults are juicecap's; of the model's own generation settings only the special tokens stay."""
    own = model.generation_config
    ends = own.eos_token_id if own.eos_token_id is not None else processor.tokenizer.eos_token_id
    pad = own.pad_token_id if own.pad_token_id is not None else processor.tokenizer.pad_token_id
    if pad is None:
        pad = ends[0] if isinstance(ends, list) else ends
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=pad, bos_token_id=own.bos_token_id)
