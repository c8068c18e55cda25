"""Tiny models of real architectures, with random weights, the families' own processors and their own chat templates.

Nothing comes from a hub: the tokenizer is a byte-level BPE trained here. Weights are larger than the library's first guess,
so that an answer depends on the pictures, their order and their times.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tiny_templates import (
    GEMMA_TEMPLATE,
    GEMMA_TOKENS,
    IDEFICS_TEMPLATE,
    LLAVA_TEMPLATE,
    QWEN_TEMPLATE,
    QWEN_TOKENS,
    SMOL_TOKENS,
)
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMImageProcessor,
    SmolVLMProcessor,
    SmolVLMVideoProcessor,
    T5Gemma2Config,
    T5Gemma2ForConditionalGeneration,
)

CONTEXT = 1024
"""Tokens that each of the models can see."""

NORMAL = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def tokenizer(tokens: list[str], end: str = "<|im_end|>", **names: str) -> Qwen2Tokenizer:
    """A byte-level BPE with these control tokens."""
    base = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    texts = ["user assistant system Describe the video. Frame from 00:01: <0.5 seconds>"] * 3
    trained = Qwen2Tokenizer(vocab=None, merges=None).train_new_from_iterator(
        texts, vocab_size=330, new_special_tokens=base + tokens, show_progress=False
    )
    return Qwen2Tokenizer(
        tokenizer_object=trained.backend_tokenizer,
        eos_token=end,
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        additional_special_tokens=[token for token in base[1:] + tokens if token != end],
        model_specific_special_tokens=names,
    )


def text_config(words: Qwen2Tokenizer, **more: Any) -> dict[str, Any]:
    """A decoder of two layers."""
    return {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": None,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        **more,
    }


def qwen2_5_vl() -> tuple[Any, Any]:
    """Patches of 8 pixels, merged by 2; each frame has between 256 and 1024 pixels."""
    words = tokenizer(QWEN_TOKENS)
    size = {"shortest_edge": 256, "longest_edge": 1024}
    patches = {"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2, **NORMAL, "size": size}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches),
        tokenizer=words,
        video_processor=Qwen2VLVideoProcessor(**patches, cap_pixels_per_frame=False),
        chat_template=QWEN_TEMPLATE,
    )
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
    config = Qwen2_5_VLConfig(
        text_config=text_config(words, rope_parameters=rope),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "window_size": 32,
            "fullatt_block_indexes": [1],
            "out_hidden_size": 32,
            "tokens_per_second": 2,
        },
        **_qwen_ids(words),
    )
    return Qwen2_5_VLForConditionalGeneration(config), processor


def qwen3_vl() -> tuple[Any, Any]:
    """Patches of 8 pixels, merged by 2; a whole video has between 256 and 32768 pixels."""
    words = tokenizer(QWEN_TOKENS)
    patches = {"patch_size": 8, "merge_size": 2, "temporal_patch_size": 2, **NORMAL}
    processor = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches, size={"shortest_edge": 256, "longest_edge": 1024}),
        tokenizer=words,
        video_processor=Qwen3VLVideoProcessor(
            **patches, size={"shortest_edge": 256, "longest_edge": 32768}, cap_pixels_per_frame=True, max_video_tokens=4
        ),
        chat_template=QWEN_TEMPLATE,
    )
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config=text_config(words, rope_parameters=rope),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 8,
            "out_hidden_size": 32,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 16,
        },
        **_qwen_ids(words),
    )
    return Qwen3VLForConditionalGeneration(config), processor


def smolvlm() -> tuple[Any, Any]:
    """SmolVLM2: frames of 32x32 pixels, 4 tokens each; images are cut into tiles of that size."""
    words = tokenizer(SMOL_TOKENS, end="<end_of_utterance>")
    sizes = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}, **NORMAL}
    processor = SmolVLMProcessor(
        image_processor=SmolVLMImageProcessor(**sizes),
        tokenizer=words,
        video_processor=SmolVLMVideoProcessor(
            **sizes, do_sample_frames=True, video_sampling={"fps": 1, "max_frames": 64, "video_size": {"longest_edge": 32}}
        ),
        image_seq_len=4,
        chat_template=IDEFICS_TEMPLATE,
    )
    config = SmolVLMConfig(image_token_id=words.convert_tokens_to_ids("<image>"), **_idefics(words))
    return SmolVLMForConditionalGeneration(config), processor


def idefics3() -> tuple[Any, Any]:
    """Idefics3 and SmolVLM 1, which know no video."""
    words = tokenizer(SMOL_TOKENS, end="<end_of_utterance>")
    processor = Idefics3Processor(
        image_processor=Idefics3ImageProcessor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, **NORMAL),
        tokenizer=words,
        image_seq_len=4,
        chat_template=IDEFICS_TEMPLATE,
    )
    config = Idefics3Config(image_token_id=words.convert_tokens_to_ids("<image>"), **_idefics(words))
    return Idefics3ForConditionalGeneration(config), processor


def llava_onevision() -> tuple[Any, Any]:
    """Frames of 32x32 pixels, 16 patches, pooled to 4 tokens each, and one token at the end of a video."""
    words = tokenizer(["<image>", "<video>"])
    square = {"size": {"height": 32, "width": 32}, **NORMAL}
    pinpoints = [[32, 32], [32, 64], [64, 32], [64, 64]]
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(**square, image_grid_pinpoints=pinpoints),
        tokenizer=words,
        video_processor=LlavaOnevisionVideoProcessor(**square),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=LLAVA_TEMPLATE,
    )
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **text_config(words)},
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **_siglip()},
        image_token_index=words.convert_tokens_to_ids("<image>"),
        video_token_index=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
        vision_feature_select_strategy="full",
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


def gemma3() -> tuple[Any, Any]:
    """Images only, 4 tokens each, which see each other both ways; every other layer looks back 16 tokens only."""
    processor = _gemma_processor()
    config = Gemma3Config(text_config=_gemma_text(processor.tokenizer), **_gemma_eyes(processor.tokenizer))
    return Gemma3ForConditionalGeneration(config), processor


def t5gemma2() -> tuple[Any, Any]:
    """The same as encoder and decoder: what is generated starts with a token of its own."""
    processor = _gemma_processor()
    words, eyes = processor.tokenizer, _gemma_eyes(processor.tokenizer)
    text = {**_gemma_text(words), "bos_token_id": words.pad_token_id}
    config = T5Gemma2Config(
        encoder={"text_config": text, **eyes},
        decoder=text,
        image_token_index=eyes["image_token_index"],
        eoi_token_index=eyes["eoi_token_index"],
        tie_word_embeddings=False,
        **{name: text[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")},
    )
    model = T5Gemma2ForConditionalGeneration(config)
    model.generation_config.decoder_start_token_id = words.pad_token_id
    return model, processor


FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "smolvlm": smolvlm,
    "llava_onevision": llava_onevision,
    "idefics3": idefics3,
    "gemma3": gemma3,
    "t5gemma2": t5gemma2,
}
"""Four families that see videos, and three that see images only."""


def save(family: str, folder: Path) -> Path:
    """Build a model and save it as a hub's folder would look."""
    torch.manual_seed(0)
    model, processor = FAMILIES[family]()
    for name, weights in model.named_parameters():
        if weights.dim() > 1:
            torch.nn.init.normal_(weights, std=0.5 if "embed" in name else 1.5 / weights[0].numel() ** 0.5)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _qwen_ids(words: Qwen2Tokenizer) -> dict[str, int]:
    names = ("vision_start", "vision_end", "image", "video")
    return {f"{name}_token_id": words.convert_tokens_to_ids(token) for name, token in zip(names, QWEN_TOKENS, strict=True)}


def _siglip() -> dict[str, int]:
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }


def _idefics(words: Qwen2Tokenizer) -> dict[str, Any]:
    return {
        "text_config": {"model_type": "llama", **text_config(words)},
        "vision_config": _siglip(),
        "scale_factor": 2,
        "pad_token_id": words.pad_token_id,
    }


def _gemma_processor() -> Gemma3Processor:
    names = dict(zip(("boi_token", "eoi_token", "image_token"), GEMMA_TOKENS, strict=False))
    return Gemma3Processor(
        image_processor=Gemma3ImageProcessor(size={"height": 32, "width": 32}, **NORMAL),
        tokenizer=tokenizer(GEMMA_TOKENS, end="<end_of_turn>", **names),
        image_seq_length=4,
        chat_template=GEMMA_TEMPLATE,
    )


def _gemma_text(words: Qwen2Tokenizer) -> dict[str, Any]:
    layers = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 16}
    return text_config(words, **layers, query_pre_attn_scalar=8, tie_word_embeddings=False)


def _gemma_eyes(words: Qwen2Tokenizer) -> dict[str, Any]:
    names = ("boi_token_index", "eoi_token_index", "image_token_index")
    return {
        "vision_config": _siglip(),
        "mm_tokens_per_image": 4,
        "tie_word_embeddings": False,  # or a model of random weights says the last word again and again
        **{name: words.convert_tokens_to_ids(token) for name, token in zip(names, GEMMA_TOKENS, strict=False)},
    }
