"""Keeps samples whose videos have a width and height in ranges."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from jsonargparse.typing import PositiveInt
from typing_extensions import override

from juicecap.ops.base import Filter
from juicecap.ops.filter._videos import AnyOrAll, range_problems, videos_pass
from juicecap.ops.options.media_options import MediaOptions
from juicecap.ops.options.numbers import Side
from juicecap.sample import Sample

if TYPE_CHECKING:
    from juicecap.media.video.probe import VideoInfo


@dataclass(frozen=True, kw_only=True)
class VideoResolutionFilter(MediaOptions, Filter):
    """Keeps samples whose videos have a width and height in ranges; a sample without videos passes.

    Width and height are those of the picture as a player shows it: upright, with square pixels.
    """

    min_width: Side = 1
    """Smallest width that passes, in pixels."""
    max_width: PositiveInt = sys.maxsize
    """Largest width that passes, in pixels."""
    min_height: Side = 1
    """Smallest height that passes, in pixels."""
    max_height: PositiveInt = sys.maxsize
    """Largest height that passes, in pixels."""
    any_or_all: AnyOrAll = "any"
    """Whether one of the sample's videos must pass, or all."""

    headers_only: ClassVar[bool] = True

    @override
    def problems(self) -> list[tuple[str, str]]:
        return [
            *range_problems(("min_width", self.min_width), ("max_width", self.max_width)),
            *range_problems(("min_height", self.min_height), ("max_height", self.max_height)),
        ]

    @override
    def media_columns(self) -> tuple[str, ...]:
        return (self.video_key,)

    @override
    def columns_required(self) -> tuple[tuple[str, str], ...]:
        return (("video_key", self.video_key),)

    def keep(self, sample: Sample) -> bool:
        """Whether the sample's videos pass."""
        return videos_pass(sample, self.video_key, self.any_or_all, self._passes, self.media_rules())

    def _passes(self, video: VideoInfo) -> bool:
        wide_enough = self.min_width <= video.width <= self.max_width
        return bool(wide_enough and self.min_height <= video.height <= self.max_height)
