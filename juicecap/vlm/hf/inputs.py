"""From a prepared request to the tensors that a model takes, and from several requests' tensors to one batch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch

from juicecap.errors import SampleError
from juicecap.vlm.base import Picture, Prepared
from juicecap.vlm.hf.load import Loaded

CLOCK = 1000
"""Ticks per second in which frame times are told to processors, which know a frame rate and frame numbers only."""

PER_TOKEN = {"input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids"}
"""Tensors of shape (rows, prompt length)."""


def encode(loaded: Loaded, prepared: Prepared) -> dict[str, torch.Tensor]:
    """Tensors of one request, with a leading dimension of 1 where the model has a batch dimension.

    Raises:
        SampleError: `PROCESSOR_FAILED`.
    """
    pictures = iter(prepared.pictures)
    videos, images, metadata = [], [], []
    for part in prepared.request.media():
        picture = next(pictures)
        if part.kind == "image":
            images.append(torch.from_numpy(picture.pixels[0].copy()).permute(2, 0, 1))
        else:
            picture = _at_least_two(picture)
            videos.append(torch.from_numpy(picture.pixels).permute(0, 3, 1, 2))
            metadata.append(_metadata(picture))
    options: dict[str, Any] = {}
    if images:
        options["images"] = images
        options["images_kwargs"] = {"do_resize": "image" not in loaded.budgets}
    if videos:
        options["videos"] = videos
        options["videos_kwargs"] = {
            "video_metadata": metadata,
            "do_sample_frames": False,
            "do_resize": "video" not in loaded.budgets,
        }
    try:
        return dict(loaded.processor(text=[render(loaded, prepared)], return_tensors="pt", **options))
    except Exception as error:  # a foreign processor's door: whatever it raises concerns this sample alone
        raise SampleError("PROCESSOR_FAILED", f"the model's processor fails with {type(error).__name__}: {error}") from error


def render(loaded: Loaded, prepared: Prepared) -> str:
    """The prompt as text, by the model's chat template; control tokens in texts from recipe or data are neutralised."""
    turns = []
    for message in prepared.request.messages:
        content = [
            {"type": "text", "text": neutralised(part.value, loaded.processor.tokenizer)}
            if part.kind == "text"
            else {"type": part.kind}
            for part in message.parts
        ]
        turns.append({"role": message.role, "content": content})
    text: str = loaded.processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return text


def neutralised(text: str, tokenizer: Any) -> str:
    """The text with a space inside of each of the tokenizer's control tokens, so that they are read as text."""
    tokens = sorted(set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab()), key=len, reverse=True)
    if not tokens:
        return text
    return re.sub("|".join(map(re.escape, tokens)), lambda found: f"{found[0][0]} {found[0][1:]}", text)


def batched(rows: Sequence[dict[str, torch.Tensor]], pad_id: int) -> dict[str, torch.Tensor]:
    """One batch: token rows padded on the left to the longest, everything else joined along the first dimension."""
    longest = max(row["input_ids"].shape[1] for row in rows)
    joined = {}
    for name in rows[0]:
        parts = [row[name] for row in rows]
        if name in PER_TOKEN:
            filler = pad_id if name == "input_ids" else 0
            parts = [torch.nn.functional.pad(part, (longest - part.shape[-1], 0), value=filler) for part in parts]
        joined[name] = torch.cat(parts)
    return joined


def shape_key(row: dict[str, torch.Tensor]) -> tuple[object, ...]:
    """Equal for requests whose tensors can stand in one batch."""
    return tuple((name, tuple(tensor.shape[1:]) if name not in PER_TOKEN else ()) for name, tensor in sorted(row.items()))


def _at_least_two(picture: Picture) -> Picture:
    """Processors refuse videos of one frame: show it twice."""
    if len(picture.pixels) > 1:
        return picture
    return Picture(pixels=picture.pixels.repeat(2, axis=0), times=picture.times * 2, duration=picture.duration)


def _metadata(picture: Picture) -> dict[str, Any]:
    ticks = [round(time * CLOCK) for time in picture.times]
    total = max(round(picture.duration * CLOCK), ticks[-1] + 1)
    return {"total_num_frames": total, "fps": CLOCK, "duration": total / CLOCK, "frames_indices": ticks}
