"""From a prepared request to the tensors that a model takes, and from several requests' tensors to one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from juicecap.errors import SampleError
from juicecap.media.picture import MediaFrames
from juicecap.vlm.backends.hf.load import LoadedModel
from juicecap.vlm.backends.transformers_common.processor import panics_as_errors
from juicecap.vlm.backends.transformers_common.prompt import frames_as_images, render
from juicecap.vlm.base import Prepared
from juicecap.vlm.models.frame_times import SPACING, at_least_two, video_metadata

Row = dict[str, torch.Tensor]

PER_TOKEN = {"input_ids", "attention_mask", "mm_token_type_ids", "token_type_ids"}
"""Tensors of shape (rows, prompt length)."""

PER_IMAGE = {"pixel_values": 5, "pixel_attention_mask": 4}
"""Tensors whose second dimension counts the images of a row or the tiles of an image, if they have so many dimensions and the
model can tell which of them are padding."""


def encode(loaded: LoadedModel, prepared: Prepared) -> Row:
    """Tensors of one request, with a leading dimension of 1 where the model has a batch dimension.

    Raises:
        SampleError: `PROCESSOR_FAILED`.
        ModelError: the chat template fails over everything.
        EnvironmentFailure: the process that renders it cannot be started.
    """
    processor, request = loaded.processor, prepared.request
    as_images = frames_as_images(processor, request)
    videos: list[MediaFrames] = []
    images: list[torch.Tensor] = []
    counts: list[int] = []
    for part, picture in zip(request.media(), prepared.pictures, strict=True):
        if part.kind == "image":
            images.append(_frames(picture)[0])
        elif as_images:
            images += _frames(picture)
            counts.append(len(picture.pixels))
        else:
            videos.append(at_least_two(picture))
    options: dict[str, Any] = {}
    if images:
        options["images"] = [images]  # of one prompt: processors treat several images otherwise than a lone one
        options["images_kwargs"] = {"do_resize": False} if loaded.sizes.image else {}
        if as_images and hasattr(processor.image_processor, "do_image_splitting"):
            options["images_kwargs"]["do_image_splitting"] = False  # a frame in 17 tiles would be 17 times as long
    if videos:
        options["videos"] = [_frames(picture) for picture in videos]
        options["videos_kwargs"] = {
            "video_metadata": [video_metadata(picture) for picture in videos],
            "do_sample_frames": False,
            **({"do_resize": False} if loaded.sizes.video else {}),
        }
    text = render(processor, request, counts if as_images else None)
    try:
        begin = processor.tokenizer.bos_token
        if begin and text.startswith(begin):  # the template wrote it: the tokenizer must not write it again
            options["add_special_tokens"] = False
        with panics_as_errors():
            row = dict(processor(text=[text], return_tensors="pt", **options))
    except Exception as error:  # a foreign processor's door: whatever it raises concerns this sample alone
        shown = (
            f" (frames are shown to this model as images, here {len(images)}; not every model takes so many)" if as_images else ""
        )
        raise SampleError(
            "PROCESSOR_FAILED", f"the model's processor fails with {type(error).__name__}: {error}{shown}"
        ) from error
    if SPACING in row:
        step = processor.video_processor.temporal_patch_size
        row[SPACING] = torch.tensor([step * _spacing(picture.times) for picture in videos])
    return {name: tensor if name == SPACING else _as_wanted(tensor, loaded) for name, tensor in row.items()}


def batched(rows: Sequence[Row], pad_id: int) -> Row:
    """One batch: token rows padded on the left to the longest, everything else joined along the first dimension.

    Where the rows differ in their number of images or tiles, those that are missing are zeros, as the processors do it.
    """
    longest = max(row["input_ids"].shape[1] for row in rows)
    joined = {}
    for name in rows[0]:
        parts = [row[name] for row in rows]
        if name in PER_TOKEN:
            filler = pad_id if name == "input_ids" else 0
            parts = [torch.nn.functional.pad(part, (longest - part.shape[-1], 0), value=filler) for part in parts]
        elif name in _growing(rows[0]):
            most = max(part.shape[1] for part in parts)
            parts = [_with_more(part, most - part.shape[1]) for part in parts]
        joined[name] = torch.cat(parts)
    return joined


def shape_key(row: Row) -> tuple[object, ...]:
    """Equal for requests whose tensors can stand in one batch."""
    growing = _growing(row)
    shapes = {name: tuple(tensor.shape[2 if name in growing else 1 :]) for name, tensor in row.items() if name not in PER_TOKEN}
    return tuple(sorted(row)), tuple(sorted(shapes.items()))


def _frames(picture: MediaFrames) -> torch.Tensor:
    """(frames, 3, height, width). Tensors of memory that must not be written to are unknown to torch: that is copied."""
    pixels = picture.pixels if picture.pixels.flags.writeable else picture.pixels.copy()
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _spacing(times: Sequence[float]) -> float:
    """Mean seconds from frame to frame."""
    return (times[-1] - times[0]) / (len(times) - 1)


def _as_wanted(tensor: torch.Tensor, loaded: LoadedModel) -> torch.Tensor:
    return tensor.to(loaded.model.dtype) if tensor.is_floating_point() else tensor


def _growing(row: Row) -> set[str]:
    """Those of the row's tensors that may be given more images or tiles than they have."""
    if not row.keys() & {"pixel_attention_mask", "image_sizes"}:
        return set()
    return {name for name, dimensions in PER_IMAGE.items() if name in row and row[name].dim() == dimensions}


def _with_more(tensor: torch.Tensor, missing: int) -> torch.Tensor:
    if not missing:
        return tensor
    return torch.cat([tensor, tensor.new_zeros(tensor.shape[0], missing, *tensor.shape[2:])], dim=1)
