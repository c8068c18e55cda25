"""From a prepared request to the tensors that a model takes, and from several requests' tensors to one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from juicecap.errors import SampleError
from juicecap.vlm.base import Prepared
from juicecap.vlm.frame_times import at_least_two, video_metadata
from juicecap.vlm.hf.load import Loaded
from juicecap.vlm.hf.prompt import render

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
            picture = at_least_two(picture)
            videos.append(torch.from_numpy(picture.pixels).permute(0, 3, 1, 2))
            metadata.append(video_metadata(picture))
    options: dict[str, Any] = {}
    if images:
        options["images"] = images
        options["images_kwargs"] = {"do_resize": loaded.sizes.image is None}
    if videos:
        options["videos"] = videos
        options["videos_kwargs"] = {
            "video_metadata": metadata,
            "do_sample_frames": False,
            "do_resize": loaded.sizes.video is None,
        }
    try:
        return dict(loaded.processor(text=[render(loaded.processor, prepared.request)], return_tensors="pt", **options))
    except Exception as error:  # a foreign processor's door: whatever it raises concerns this sample alone
        raise SampleError("PROCESSOR_FAILED", f"the model's processor fails with {type(error).__name__}: {error}") from error


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
