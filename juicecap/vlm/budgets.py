"""What a processor's settings mean for the sizes of pictures, whether they come from the processor or from its files.

Known are the processors of the Qwen-VL family (2, 2.5, 3), recognised by how they cut pictures into patches, and those that
make a square of every frame (LLaVA-OneVision, InternVL, SmolVLM).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from juicecap.media.sizes import PixelBudget

FACTS = (
    "cap_pixels_per_frame",
    "do_resize",
    "max_image_size",
    "max_video_tokens",
    "merge_size",
    "patch_size",
    "size",
    "temporal_patch_size",
)
"""The settings that are read."""

SQUARE = ("InternVL", "LlavaOnevision")
"""Families whose video processors make every frame as large as `size` says, whatever its shape."""


def budget_of(kind: str, processor: str, facts: Mapping[str, Any]) -> PixelBudget | None:
    """The budget of an image or video processor of this class with these settings; None if its rules are not known."""
    size = facts.get("size") or {}
    if kind == "video" and (side := _square(processor, facts, size)):
        return PixelBudget(factor=1, shortest=side**2, longest=side**2, square=side)
    if not all(facts.get(name) for name in ("patch_size", "merge_size", "temporal_patch_size")):
        return None
    if not size.get("shortest_edge") or not size.get("longest_edge"):
        return None
    whole = kind == "video" and processor.startswith("Qwen3")
    cap = {"frame_tokens" if whole else "video_tokens": facts.get("max_video_tokens")}
    return PixelBudget(
        factor=facts["patch_size"] * facts["merge_size"],
        shortest=size["shortest_edge"],
        longest=size["longest_edge"],
        whole_video=whole,
        temporal=facts["temporal_patch_size"],
        **(cap if facts.get("cap_pixels_per_frame") else {}),
    )


def _square(processor: str, facts: Mapping[str, Any], size: Mapping[str, Any]) -> int | None:
    """The side of the square that a video processor makes of every frame, if it is known to do so."""
    if processor.startswith("SmolVLM"):
        largest = facts.get("max_image_size")
        return int(largest["longest_edge"]) if largest else None
    if processor.startswith(SQUARE) and facts.get("do_resize") and size.get("height") == size.get("width"):
        return int(size["height"]) if size.get("height") else None
    return None
