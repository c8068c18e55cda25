"""What a processor's settings mean for the sizes of pictures, whether they come from the processor or from its files.

Known are the processors of the Qwen-VL family (2, 2.5, 3), recognised by how they cut pictures into patches, and those that
make a square of every frame (LLaVA-OneVision, InternVL, SmolVLM).
"""

from __future__ import annotations

from juicecap.media.sizes import PixelBudget
from juicecap.vlm.models.json_files import Section

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


MOST_PATCH, MOST_MERGE, MOST_TEMPORAL = 128, 8, 64
"""Pixels along a patch, patches that are merged along one side, and frames in one patch: several times those of real models."""

MOST_PIXELS = 2**40
"""Of a picture, or of a whole video: a limit that nothing reaches."""

MOST_AT_LEAST = 2**24
"""Pixels to which the smallest picture may be enlarged."""

MOST_SIDE = 2**12
"""Pixels along the side of a square that every picture becomes."""


def budget_of(kind: str, processor: str, facts: Section) -> PixelBudget | None:
    """The budget of an image or video processor of this class with these settings; None if its rules are not known.

    Raises:
        ModelError: one of them is no number, or one that makes no sense.
    """
    if kind == "video" and (side := _square(processor, facts)):
        return PixelBudget(factor=1, shortest=side**2, longest=side**2, square=side)
    patch, merge = facts.whole("patch_size", MOST_PATCH), facts.whole("merge_size", MOST_MERGE)
    temporal = facts.whole("temporal_patch_size", MOST_TEMPORAL)
    if not (patch and merge and temporal):
        return None
    size = facts.section("size")
    shortest, longest = size.whole("shortest_edge", MOST_AT_LEAST), size.whole("longest_edge", MOST_PIXELS)
    if not (shortest and longest):
        return None
    whole = kind == "video" and processor.startswith("Qwen3")
    capped = facts.whole("max_video_tokens", MOST_PIXELS) if facts.values.get("cap_pixels_per_frame") else None
    return PixelBudget(
        factor=patch * merge,
        shortest=shortest,
        longest=longest,
        whole_video=whole,
        temporal=temporal,
        frame_tokens=capped if whole else None,
        video_tokens=None if whole else capped,
    )


def _square(processor: str, facts: Section) -> int | None:
    """The side of the square that a video processor makes of every frame, if it is known to do so."""
    if processor.startswith("SmolVLM"):
        return facts.section("max_image_size").whole("longest_edge", MOST_SIDE)
    if not processor.startswith(SQUARE) or not facts.values.get("do_resize"):
        return None
    size = facts.section("size")
    height = size.whole("height", MOST_SIDE)
    return height if height == size.whole("width", MOST_SIDE) else None
