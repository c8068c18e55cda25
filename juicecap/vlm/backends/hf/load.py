"""Loading a model, and what can be said of it before the first sample."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, DynamicCache, GenerationConfig
from transformers.cache_utils import DynamicLayer
from transformers.initialization import no_init_weights

from juicecap.errors import EnvironmentFailure, ModelError
from juicecap.media.sizes import FrameSizes
from juicecap.sample import short_repr
from juicecap.vlm import model_params
from juicecap.vlm.backends.transformers_common.processor import (
    check_files,
    check_kind,
    check_weights,
    context_length,
    folder_of,
    frame_sizes,
    from_hub,
    load_processor,
    loading,
)
from juicecap.vlm.backends.transformers_common.prompt import takes_video
from juicecap.vlm.base import TEMPLATE_KWARGS, ModelSettings, canonical_json, digest_of
from juicecap.vlm.context import ContextLength
from juicecap.vlm.models.folder import weight_bytes
from juicecap.vlm.models.json_files import ANEW
from juicecap.vlm.models.names import model_source
from juicecap.vlm.models.revision import folder_revision, lasting_name, legacy_revision

NOT_PACKED, PACKED = 2, 16
"""Numbers that a byte of a weights' file may stand for: of plain weights one, and some are tied; of quantized ones eight."""

SLACK = 2**26
"""Numbers that a model may have beyond that, such as tables that are not saved."""

NOT_OF_THE_LOADER = ("dtype", "torch_dtype", "use_safetensors", TEMPLATE_KWARGS)
"""Parameters that are told in another way, or to others."""

CHANGES_NO_ANSWER = {"cache_dir", "local_files_only", "token"}
"""Parameters that say how the model's files are come by."""


_one_at_a_time = threading.Lock()
"""Loading changes torch and transformers for the whole process (the device, how weights begin): no other model may load then."""


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What a model is, as far as that shows without its weights.

    `revision` names the weights: the hub's commit, or a digest of a local folder's files. `legacy_identity` is that of versions
    before (`vlm.base.Backend`).
    """

    processor: Any
    commit: str | None
    revision: str
    dtype: str
    identity: str
    facts: Mapping[str, str]
    legacy_identity: Callable[[], str]
    sizes: FrameSizes
    context: ContextLength | None


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model ready to answer. See `ModelInfo` for what it has from there."""

    model: Any
    processor: Any
    tokenizer: Any
    """For the thread of the model: the processor's own may be at work on another one."""
    revision: str
    identity: str
    sizes: FrameSizes
    context: ContextLength | None
    reads_once: bool
    """Whether what the model remembers of a prompt is a plain key-value cache, which can be repeated for its candidates."""
    keep_offsets: tuple[Any, ...]
    """The modules that keep an offset between places and positions (Qwen's and their kin)."""


def inspect_model(settings: ModelSettings) -> ModelInfo:
    """Find out what `settings` name: bfloat16 on a GPU and float32 on a CPU unless `model_params` say otherwise.

    Raises:
        ModelError: there is no such model, or it is not a vision-language model.
        EnvironmentFailure: the hub cannot be reached.
    """
    params, source = settings.engine_params(), model_source(settings.model)
    dtype = str(params.get("dtype") or params.get("torch_dtype") or ("bfloat16" if torch.cuda.is_available() else "float32"))
    wrong = list(model_params.problems("hf", params))
    if wrong:
        raise ModelError(f"model_params: {'; '.join(wrong)}")
    check_files(settings)
    with loading(settings):
        config = AutoConfig.from_pretrained(source, **from_hub(settings))
        check_kind(settings, config)
        names = dir(config)
    if wrong := list(model_params.unknown("hf", params, names)):
        raise ModelError(f"model_params: {'; '.join(wrong)}")
    processor = load_processor(settings)
    if folder := folder_of(settings):
        check_weights(folder)
    commit = getattr(config, "_commit_hash", None)
    revision = folder_revision(settings.model) or str(commit or "unknown")
    with loading(settings):
        length = context_length(config, processor)
    telling = canonical_json({name: value for name, value in params.items() if name not in CHANGES_NO_ANSWER})
    template = digest_of(str(processor.chat_template))
    facts = [str(getattr(torch, dtype.removeprefix("torch."), dtype)), telling, template]
    return ModelInfo(
        processor=processor,
        commit=commit,
        revision=revision,
        dtype=dtype,
        identity=digest_of(["hf", lasting_name(settings.model), revision, *facts]),
        facts={"dtype": dtype.removeprefix("torch."), "chat_template": template},
        legacy_identity=lambda: digest_of(
            ["hf", settings.model, str(commit or legacy_revision(settings.model) or "unknown"), *facts]
        ),
        sizes=_sizes(processor),
        context=ContextLength(length) if length else None,
    )


def load(settings: ModelSettings, known: ModelInfo | None = None) -> LoadedModel:
    """Load what `settings` name; `known` is what `inspect_model` found.

    Raises:
        ModelError: as `inspect_model`.
        EnvironmentFailure: it is there but cannot be loaded (out of memory, no network).
    """
    known = known or inspect_model(settings)
    params, processor = settings.engine_params(), known.processor
    params = {name: value for name, value in params.items() if name not in NOT_OF_THE_LOADER}
    if known.commit:
        params["revision"] = known.commit  # the hub's word may be another one by now
    if torch.cuda.is_available():
        params.setdefault("device_map", "auto")
    params.setdefault("trust_remote_code", False)
    with _one_at_a_time, loading(settings):
        _check_size(settings)
        try:
            model = AutoModelForImageTextToText.from_pretrained(
                model_source(settings.model), dtype=known.dtype, use_safetensors=True, **params
            )
        except torch.OutOfMemoryError as error:
            raise EnvironmentFailure(f"{settings.model} does not fit into the GPU's memory") from error
        _forget_generation_defaults(model, processor)
        _check_special_tokens(settings, model)
        return LoadedModel(
            model=model.eval(),
            processor=processor,
            tokenizer=copy.deepcopy(processor.tokenizer),
            revision=known.revision,
            identity=known.identity,
            sizes=known.sizes,
            context=known.context,
            reads_once=not model.config.is_encoder_decoder
            and all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers),
            keep_offsets=tuple(module for module in model.modules() if hasattr(module, "rope_deltas")),
        )


def _check_size(settings: ModelSettings) -> None:
    """Do nothing if the weights are about as large as the model that config.json describes, as far as both are here.

    What lacks weights is made up and then refused, which takes all the memory that it would have taken.

    Raises:
        ModelError: it describes a far larger one.
    """
    folder = folder_of(settings)
    weights = weight_bytes(folder) if folder else 0
    config = AutoConfig.from_pretrained(model_source(settings.model), **from_hub(settings))
    if not weights or type(config) not in AutoModelForImageTextToText._model_mapping:  # noqa: SLF001  (code of its own)
        return
    with torch.device("meta"), no_init_weights():
        model = AutoModelForImageTextToText.from_config(config)
    described = sum(each.numel() for each in (*model.parameters(), *model.buffers()))
    packed = PACKED if getattr(config, "quantization_config", None) else NOT_PACKED
    if described > weights * packed + SLACK:
        sizes = f"a model of {described:,} numbers, and the files of weights have {weights:,} bytes"
        raise ModelError(f"{folder}: config.json describes {sizes}: {ANEW}")


def _sizes(processor: Any) -> FrameSizes:
    """As the processor says it; frames that are shown as images have the sizes of images."""
    sizes = frame_sizes(processor)
    return sizes if takes_video(processor) else replace(sizes, video=sizes.image)


def _forget_generation_defaults(model: Any, processor: Any) -> None:
    """Sampling defaults are juicecap's; of the model's own generation settings only the special tokens stay."""
    own = model.generation_config
    ends = own.eos_token_id if own.eos_token_id is not None else processor.tokenizer.eos_token_id
    pad = own.pad_token_id if own.pad_token_id is not None else processor.tokenizer.pad_token_id
    if pad is None or (isinstance(pad, int) and pad < 0):
        pad = ends[0] if isinstance(ends, list) else ends
    model.generation_config = GenerationConfig(
        eos_token_id=ends,
        pad_token_id=pad,
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=own.decoder_start_token_id,
    )


def _check_special_tokens(settings: ModelSettings, model: Any) -> None:
    """Do nothing if the tokens with which answers begin and end are some of the model's: others fail in the first answer.

    Raises:
        ModelError: one is not.
    """
    known = model.get_input_embeddings().weight.shape[0]
    for name in ("eos_token_id", "pad_token_id", "decoder_start_token_id"):
        value = getattr(model.generation_config, name)
        for token in value if isinstance(value, list) else [] if value is None else [value]:
            if not isinstance(token, int) or isinstance(token, bool) or not 0 <= token < known:
                raise ModelError(
                    f"{settings.model}: {name} must be the number of a token, below {known:,}, not {short_repr(token)}"
                )
