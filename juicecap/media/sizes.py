"""The size to which a model's processor would scale a picture, so that decoding can scale to it at once.

Exact for processors of the Qwen-VL family and for those that make a square of every frame (LLaVA-OneVision, SmolVLM2); other
processors get pictures that are no larger than `OTHERWISE`, unless the recipe says otherwise, and scale them by their own rules.

Source of the formulas: `smart_resize` and `resize` of `Qwen2VLImageProcessor`, `Qwen2VLVideoProcessor` and
`Qwen3VLVideoProcessor` in transformers. Tests compare them with the real processors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from juicecap.errors import MediaError
from juicecap.media.sampling import FrameSampling

MAX_ASPECT = 200

OTHERWISE = 1024 * 1024
"""Pixels per frame that are handed to a processor which scales by rules that juicecap does not know."""


@dataclass(frozen=True, kw_only=True)
class PixelBudget:
    """What a processor's settings say about sizes, in pixels. `factor` is patch size times merge size."""

    factor: int
    shortest: int
    """Least number of pixels (of a picture; of the whole video for Qwen3-VL)."""
    longest: int
    """Largest number of pixels, likewise."""
    whole_video: bool = False
    """Whether the budget is for all frames together (Qwen3-VL) or for each (Qwen2.5-VL and images)."""
    temporal: int = 2
    frame_tokens: int | None = None
    """With `whole_video`: most tokens of one frame, where the processor caps them."""
    video_tokens: int | None = None
    """Without `whole_video`: tokens of which all frames together may take nine in ten, where the processor caps them."""
    square: int | None = None
    """Side of the square that every picture becomes, whatever its own shape; then nothing else counts."""

    def size(self, frames: int, width: int, height: int) -> tuple[int, int]:
        """(width, height), multiples of `factor`, for `frames` pictures of `width` x `height`.

        Raises:
            MediaError: `TOO_NARROW`, which the processors refuse.
        """
        if self.square:
            return self.square, self.square
        if max(width, height) > MAX_ASPECT * min(width, height):
            raise MediaError("TOO_NARROW", f"a picture of {width}x{height} is more than {MAX_ASPECT} times as long as wide")
        if not self.whole_video:
            return self._fit(1, 1, width, height, self._longest_frame(frames))
        frames = max(frames, self.temporal)
        longest = self.longest
        if self.frame_tokens is not None:
            even_share = min(self.frame_tokens * self.factor**2, longest // frames)
            longest = max(even_share, int(self.shortest * 1.05)) * frames
        if min(width, height) < self.factor:
            scale = max(self.factor / height, self.factor / width)
            width, height = int(width * scale), int(height * scale)
        return self._fit(frames, round(frames / self.temporal) * self.temporal, width, height, longest)

    def _longest_frame(self, frames: int) -> int:
        if self.video_tokens is None:
            return self.longest
        even_share = int(self.video_tokens * self.factor**2 * 0.9) * self.temporal // frames
        return max(min(self.longest, even_share), int(self.shortest * 1.05))

    def _fit(self, frames: int, steps: int, width: int, height: int, longest: int) -> tuple[int, int]:
        """`steps` is `frames` in whole temporal patches; the formulas use both."""
        factor = self.factor
        near = round(width / factor) * factor, round(height / factor) * factor
        if steps * near[0] * near[1] > longest:
            beta = math.sqrt(frames * height * width / longest)
            fitting = math.floor(width / beta / factor) * factor, math.floor(height / beta / factor) * factor
            return max(factor, fitting[0]), max(factor, fitting[1])
        if steps * near[0] * near[1] < self.shortest:
            beta = math.sqrt(self.shortest / (frames * height * width))
            return math.ceil(width * beta / factor) * factor, math.ceil(height * beta / factor) * factor
        return near


@dataclass(frozen=True, kw_only=True)
class FrameSizes:
    """What an engine wants pictures to be like: its budgets by kind, None where its rules are not known."""

    video: PixelBudget | None = None
    image: PixelBudget | None = None

    def size(self, kind: str, frames: int, width: int, height: int, sampling: FrameSampling) -> tuple[int, int]:
        """(width, height) for `frames` upright pictures of `width` x `height`, within the sampling's own pixel limits.

        Those say nothing to a model that takes squares of one size only.

        Raises:
            MediaError: `TOO_NARROW`.
        """
        budget = self.image if kind == "image" else self.video
        if budget and budget.square:
            return budget.square, budget.square
        most = None if sampling.max_pixels == "none" else sampling.max_pixels or (None if budget else OTHERWISE)
        pixels = width * height
        scale = 1.0
        if most and pixels > most:
            scale = (most / pixels) ** 0.5
        elif sampling.min_pixels and pixels < sampling.min_pixels:
            scale = (sampling.min_pixels / pixels) ** 0.5
        if budget is None:
            return max(2, round(width * scale)), max(2, round(height * scale))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
        size = budget.size(frames, width, height)
        if most and size[0] * size[1] > most:  # rounding, or what the processor takes at least: the recipe's word counts
            limit = most * (frames if budget.whole_video else 1)
            strict = replace(budget, longest=limit, shortest=min(budget.shortest, limit), frame_tokens=None, video_tokens=None)
            size = strict.size(frames, width, height)
        return size

    def reduces_unasked(self, kind: str, sampling: FrameSampling) -> bool:
        """Whether large pictures are made smaller though neither the recipe nor a processor's rules ask for it."""
        return sampling.max_pixels is None and (self.image if kind == "image" else self.video) is None

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FrameSizes:
        """The inverse of `dataclasses.asdict`, for what has travelled as JSON."""
        return cls(**{kind: PixelBudget(**budget) if budget else None for kind, budget in plain.items()})
