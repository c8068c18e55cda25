"""What the files of a model say about it without any library of models: context, attention, sizes of pictures.

Read are JSON files of a local folder or of a snapshot in the Hub's cache; nothing is downloaded. Of a Qwen-VL model that is
not on this machine the sizes are those that its family was published with.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from juicecap.media.sizes import FrameSizes, PixelBudget
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.catalog import spec_of
from juicecap.vlm.context import ContextLength
from juicecap.vlm.models.folder import MOST_PARTS, check_code, check_folder, weight_bytes
from juicecap.vlm.models.json_files import Section, read_object, read_text
from juicecap.vlm.models.names import local_folder
from juicecap.vlm.models.pixel_budgets import MOST_PIXELS, budget_of

CACHE_DTYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
NO_LIMIT = 10**9
"""Tokenizers say a huge number where there is no limit."""

CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")

INNER = ("text_config", "llm_config")
"""Where a config has what concerns the part of the model that speaks."""

SPECIAL_TOKENS = ("bos_token", "cls_token", "eos_token", "mask_token", "pad_token", "sep_token", "unk_token")
"""The special tokens that transformers passes to chat templates; a test compares."""

MOST_HEADS, MOST_LAYERS, MOST_HIDDEN = 2**16, MOST_PARTS["layer"], 2**24
"""Far more than any model has, and few enough to reckon with."""

_OLD_EDGES = {"min_pixels": "shortest_edge", "max_pixels": "longest_edge"}
"""What files of older releases say instead of `size`."""

_PATCHES = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "Qwen2VLImageProcessor": {**_PATCHES, "size": {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280}},
    "Qwen2VLVideoProcessor": {
        **_PATCHES,
        "size": {"shortest_edge": 128 * 28 * 28, "longest_edge": 28 * 28 * 768},
        "max_video_tokens": 128_000,
    },
    "Qwen3VLVideoProcessor": {
        **_PATCHES,
        "patch_size": 16,
        "size": {"shortest_edge": 128 * 32 * 32, "longest_edge": 32 * 32 * 768},
        "max_video_tokens": 768,
    },
}
"""What these processors take where their files are silent; tests compare with transformers."""

_VIDEO_PROCESSORS = {
    "qwen2_vl": "Qwen2VLVideoProcessor",
    "qwen2_5_vl": "Qwen2VLVideoProcessor",
    "qwen3_vl": "Qwen3VLVideoProcessor",
    "qwen3_vl_moe": "Qwen3VLVideoProcessor",
    "qwen3_5": "Qwen3VLVideoProcessor",
    "qwen3_5_moe": "Qwen3VLVideoProcessor",
}
"""`model_type` to the processor of videos, for files that do not name one."""

_PUBLISHED = (
    (
        re.compile(r"qwen3[-_.]?vl", re.IGNORECASE),
        "qwen3_vl",
        262_144,
        FrameSizes(
            video=PixelBudget(factor=32, shortest=4096, longest=25_165_824, whole_video=True),
            image=PixelBudget(factor=32, shortest=65_536, longest=16_777_216),
        ),
    ),
    (
        re.compile(r"qwen2[-_.]?5[-_.]?vl", re.IGNORECASE),
        "qwen2_5_vl",
        128_000,
        FrameSizes(
            video=PixelBudget(factor=28, shortest=3136, longest=12_845_056),
            image=PixelBudget(factor=28, shortest=3136, longest=12_845_056),
        ),
    ),
)
"""Name, `model_type`, context and sizes of families, as the files of their instruct models have them on the Hub."""


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What is known about a model. `folder` is None for one that is known by its family only."""

    folder: Path | None
    model_type: str
    sizes: FrameSizes
    context: ContextLength | None = None
    """Tokens of prompt and answer that fit."""
    config_names: frozenset[str] = field(default=frozenset(), repr=False)
    """The entries of the model's config.json."""
    heads: int | None = None
    """Attention heads."""
    cache_values: int | None = None
    """Numbers that the key-value cache holds for each token."""
    weight_bytes: int = 0
    template: str | None = field(default=None, repr=False)
    names: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The tokenizer's special tokens, as far as templates are told them: `bos_token`, …."""

    @property
    def is_qwen(self) -> bool:
        """Whether prompts are built as the Qwen-VL family (2, 2.5, 3) does."""
        return self.model_type in _VIDEO_PROCESSORS

    @property
    def tells_times(self) -> bool:
        """Whether the prompt holds the time of each pair of frames."""
        return _VIDEO_PROCESSORS.get(self.model_type) == "Qwen3VLVideoProcessor"


def model_facts(settings: ModelSettings) -> ModelFacts | None:
    """What is known about the model of these settings; None if nothing is. The length that vLLM is going to be given counts.

    Raises:
        ModelError: its files are damaged, or one of them holds what makes no sense.
    """
    params = settings.engine_params()
    folder = local_folder(
        settings.model, revision=params.get("revision"), cache=params.get("cache_dir") or params.get("download_dir")
    )
    spec = spec_of(settings)
    if folder and spec.runs_code:
        check_code(folder.absolute(), params)
    facts = _from_folder(folder.absolute()) if folder else _published(settings.model)
    if facts is None or spec.context is None:
        return facts
    return replace(facts, context=spec.context(params, facts.context))


def first_limit(limits: Iterable[object]) -> int | None:
    """The first of these that is a number of tokens and a limit."""
    return next((limit for limit in limits if isinstance(limit, int) and limit is not True and 0 < limit < NO_LIMIT), None)


@functools.lru_cache(maxsize=16)
def _from_folder(folder: Path) -> ModelFacts | None:
    check_folder(folder)
    config = read_object(folder / "config.json")
    if not config.values:
        return None
    inner = next((each for name in INNER if (each := config.section(name)).values), config)
    tokenizer = read_object(folder / "tokenizer_config.json")
    model_type = config.text("model_type")
    length = first_limit([*(_tokens(inner, name) for name in CONTEXT_NAMES), _tokens(tokenizer, "model_max_length")])
    return ModelFacts(
        folder=folder,
        model_type=model_type,
        sizes=FrameSizes(**{kind: _budget(folder, kind, model_type) for kind in ("image", "video")}),
        context=ContextLength(length) if length else None,
        config_names=frozenset(config.values),
        heads=inner.count("num_attention_heads", MOST_HEADS),
        cache_values=_cache_values(inner),
        weight_bytes=weight_bytes(folder),
        template=_template(folder, tokenizer),
        names={name: text for name in SPECIAL_TOKENS if (text := _content(tokenizer.values.get(name)))},
    )


def _published(model: str) -> ModelFacts | None:
    for pattern, model_type, context, sizes in _PUBLISHED:
        if pattern.search(model):
            return ModelFacts(folder=None, model_type=model_type, sizes=sizes, context=ContextLength(context))
    return None


def _tokens(section: Section, name: str) -> int | None:
    """A number of tokens; None where it is none, since many files have numbers there that stand for no limit (-1, 1e30).

    Raises:
        ModelError: it is no number.
    """
    value = section.values.get(name)
    if isinstance(value, str | bool):
        raise section.wrong(name, "a number")
    return value if isinstance(value, int) else None


def _cache_values(config: Section) -> int | None:
    heads, layers = config.count("num_attention_heads", MOST_HEADS), config.count("num_hidden_layers", MOST_LAYERS)
    kinds = config.values.get("layer_types")
    if isinstance(kinds, list):  # layers of linear attention keep a state of fixed size
        layers = sum("linear" not in kind for kind in kinds if isinstance(kind, str))
    stored = config.count("num_key_value_heads", MOST_HEADS) or heads
    hidden, size = config.count("hidden_size", MOST_HIDDEN), config.count("head_dim", MOST_HIDDEN)
    size = size or (hidden // heads if hidden and heads else None)
    return 2 * layers * stored * size if layers and stored and size else None


def _budget(folder: Path, kind: str, model_type: str) -> PixelBudget | None:
    """By the file that transformers would read for this kind, over the defaults of the processor's class."""
    own = read_object(folder / "processor_config.json").section(f"{kind}_processor")
    if not own.values and kind == "video":
        own = read_object(folder / "video_preprocessor_config.json")
    if not own.values:
        own = read_object(folder / "preprocessor_config.json")
    name = own.text(f"{kind}_processor_type").removesuffix("Fast")
    if kind == "video":
        name = name or _VIDEO_PROCESSORS.get(model_type, "")
    if not name:
        return None
    facts = own.over(_DEFAULTS.get(name, {}))
    old = {edge: pixels for before, edge in _OLD_EDGES.items() if (pixels := own.count(before, MOST_PIXELS))}
    if old:
        facts = replace(facts, values={**facts.values, "size": {**facts.section("size").values, **old}})
    return budget_of(kind, name, facts)


def _template(folder: Path, tokenizer: Section) -> str | None:
    """As transformers looks for it; the tokenizer's own one is what releases of before took."""
    written = read_object(folder / "processor_config.json").values.get("chat_template")
    written = written or read_object(folder / "chat_template.json").values.get("chat_template")
    written = written or read_text(folder / "chat_template.jinja") or tokenizer.values.get("chat_template")
    if isinstance(written, list):  # templates by name
        written = {each.get("name"): each.get("template") for each in written if isinstance(each, dict)}
    if isinstance(written, dict):
        written = written.get("default")
    return written if isinstance(written, str) else None


def _content(value: Any) -> str:
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else ""
