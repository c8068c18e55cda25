"""Loading a model, and what can be said of it before the first sample."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, DynamicCache, GenerationConfig
from transformers.cache_utils import DynamicLayer

from juicecap.errors import EnvironmentFailure
from juicecap.media.sizes import FrameSizes
from juicecap.vlm.base import ModelSettings, digest_of
from juicecap.vlm.hf.processor import folder_revision, frame_sizes, load_processor, loading
from juicecap.vlm.hf.prompt import takes_video
from juicecap.vlm.models import model_source

NO_LIMIT = 10**9


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model ready to answer. `revision` names the weights: the hub's commit, or a digest of a local folder's files."""

    model: Any
    processor: Any
    tokenizer: Any
    """For the thread of the model: the processor's own may be at work on another one."""
    revision: str
    identity: str
    sizes: FrameSizes
    context: int | None
    """Tokens of prompt and answer that the model can hold, where that is known."""
    reads_once: bool
    """Whether what the model remembers of a prompt is a plain key-value cache, which can be repeated for its candidates."""
    keep_offsets: tuple[Any, ...]
    """The modules that keep an offset between places and positions (Qwen's and their kin)."""


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
    return Loaded(
        model=model.eval(),
        processor=processor,
        tokenizer=copy.deepcopy(processor.tokenizer),
        revision=revision,
        identity=digest_of(facts),
        sizes=_sizes(processor),
        context=_context(model, processor),
        reads_once=not model.config.is_encoder_decoder
        and all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers),
        keep_offsets=tuple(module for module in model.modules() if hasattr(module, "rope_deltas")),
    )


def _sizes(processor: Any) -> FrameSizes:
    """As the processor says it; frames that are shown as images have the sizes of images."""
    sizes = frame_sizes(processor)
    return sizes if takes_video(processor) else replace(sizes, video=sizes.image)


def _context(model: Any, processor: Any) -> int | None:
    """The model's word counts; some say it nowhere but in the tokenizer, where no limit is a huge number."""
    config = model.config.get_text_config()
    names = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
    limits = [getattr(config, name, None) for name in names]
    limits.append(processor.tokenizer.model_max_length)
    return next((limit for limit in limits if isinstance(limit, int) and 0 < limit < NO_LIMIT), None)


def _forget_generation_defaults(model: Any, processor: Any) -> None:
    """Sampling defaults are juicecap's; of the model's own generation settings only the special tokens stay."""
    own = model.generation_config
    ends = own.eos_token_id if own.eos_token_id is not None else processor.tokenizer.eos_token_id
    pad = own.pad_token_id if own.pad_token_id is not None else processor.tokenizer.pad_token_id
    if pad is None:
        pad = ends[0] if isinstance(ends, list) else ends
    model.generation_config = GenerationConfig(
        eos_token_id=ends,
        pad_token_id=pad,
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=own.decoder_start_token_id,
    )
