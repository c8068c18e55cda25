"""Keeps samples whose videos have a width and height in ranges."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jsonargparse.typing import PositiveInt
from typing_extensions import override

from juicecap.ops.base import Filter
from juicecap.ops.filter._videos import AnyOrAll, headers_of, measured_of, rule_wanted, videos_pass
from juicecap.ops.options.media_options import MediaOptions
from juicecap.ops.options.numbers import Side
from juicecap.ops.options.range_options import RangeOptions
from juicecap.sample import Sample
from juicecap.vlm.base import Outcome
from juicecap.vlm.measurement import Measurement


@dataclass(frozen=True, kw_only=True)
class VideoResolutionFilter(RangeOptions, MediaOptions, Filter):
    """Keeps samples whose videos have a width and height in ranges; a sample without videos passes.

    Width and height are those of the picture as a player shows it: upright, with square pixels.
    """

    min_width: Side | None = 1
    """Smallest width that passes, in pixels; null: no limit."""
    max_width: PositiveInt | None = sys.maxsize
    """Largest width that passes, in pixels; null: no limit."""
    min_height: Side | None = 1
    """Smallest height that passes, in pixels; null: no limit."""
    max_height: PositiveInt | None = sys.maxsize
    """Largest height that passes, in pixels; null: no limit."""
    any_or_all: AnyOrAll = "any"
    """Whether one of the sample's videos must pass, or all."""

    version: ClassVar[int] = 2
    headers_only: ClassVar[bool] = True
    measures_only: ClassVar[bool] = True

    @override
    def problems(self) -> list[tuple[str, str]]:
        return [
            *self._side_problems("width", self.min_width, self.max_width),
            *self._side_problems("height", self.min_height, self.max_height),
        ]

    def _side_problems(self, side: str, least: int | None, most: int | None) -> list[tuple[str, str]]:
        if self.reversed_range and (least or 0) <= 1 and most in (None, sys.maxsize):
            told = f"min_{side} and max_{side} leave no {side} outside of them, where reversed_range wants it: nothing can pass"
            return [("reversed_range", told)]
        return self.range_problems((f"min_{side}", least), (f"max_{side}", most))

    @override
    def media_columns(self) -> tuple[str, ...]:
        return (self.video_key,)

    @override
    def columns_required(self) -> tuple[tuple[str, str], ...]:
        return (("video_key", self.video_key), *self.part_columns())

    @override
    def requests(self, sample: Sample) -> Sequence[Measurement]:
        return headers_of(sample, self.video_key, self)

    @override
    def keep_by(self, sample: Sample, outcomes: Sequence[Outcome]) -> bool:
        return videos_pass(outcomes, self.any_or_all, self._passes)

    def _passes(self, video: Mapping[str, Any]) -> bool:
        width_passes = self.in_range(video["width"], self.min_width, self.max_width)
        return width_passes and self.in_range(video["height"], self.min_height, self.max_height)

    @override
    def measured(self, sample: Sample, outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
        return measured_of(outcomes, "width", "height")

    @override
    def wanted(self) -> Mapping[str, Any]:
        least = {name: side for name, side in (("min_width", self.min_width), ("min_height", self.min_height)) if side != 1}
        ends = self.range_wanted(**least, max_width=self.max_width, max_height=self.max_height)
        return {**ends, **rule_wanted(self.any_or_all)}
