"""Keeps samples whose videos have a duration in a range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from jsonargparse.typing import NonNegativeFloat
from typing_extensions import override

from juicecap.ops.base import Filter
from juicecap.ops.filter._videos import AnyOrAll, videos_pass
from juicecap.ops.options.media_options import MediaOptions
from juicecap.ops.options.numbers import Moment
from juicecap.ops.options.range_options import RangeOptions
from juicecap.sample import Sample


@dataclass(frozen=True, kw_only=True)
class VideoDurationFilter(RangeOptions, MediaOptions, Filter):
    """Keeps samples whose videos have a duration in a range; a sample without videos passes."""

    min_duration: Moment | None = 0.0
    """Shortest duration that passes, in seconds; null: no limit."""
    max_duration: NonNegativeFloat | None = float("inf")
    """Longest duration that passes, in seconds; null: no limit."""
    any_or_all: AnyOrAll = "any"
    """Whether one of the sample's videos must pass, or all."""

    version: ClassVar[int] = 2
    headers_only: ClassVar[bool] = True
    ignored_parameters: ClassVar[Mapping[str, str]] = {
        **RangeOptions.ignored_parameters,
        "video_backend": "durations are measured by juicecap's own reader",
    }

    @override
    def problems(self) -> list[tuple[str, str]]:
        return self.range_problems(("min_duration", self.min_duration), ("max_duration", self.max_duration))

    @override
    def media_columns(self) -> tuple[str, ...]:
        return (self.video_key,)

    @override
    def columns_required(self) -> tuple[tuple[str, str], ...]:
        return (("video_key", self.video_key), *self.part_columns())

    def keep(self, sample: Sample) -> bool:
        """Whether the sample's videos pass."""
        return videos_pass(
            sample,
            self.video_key,
            self.any_or_all,
            lambda video: self.in_range(video.duration, self.min_duration, self.max_duration),
            self,
        )
