"""Keeps samples whose videos have a duration in a range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jsonargparse.typing import NonNegativeFloat
from typing_extensions import override

from juicecap.ops.base import Filter
from juicecap.ops.filter._videos import AnyOrAll, headers_of, measured_of, rule_wanted, videos_pass
from juicecap.ops.options.media_options import MediaOptions
from juicecap.ops.options.numbers import Moment
from juicecap.ops.options.range_options import RangeOptions
from juicecap.sample import Sample
from juicecap.vlm.base import Outcome
from juicecap.vlm.measurement import Measurement


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
    measures_only: ClassVar[bool] = True
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

    @override
    def requests(self, sample: Sample) -> Sequence[Measurement]:
        return headers_of(sample, self.video_key, self)

    @override
    def keep_by(self, sample: Sample, outcomes: Sequence[Outcome]) -> bool:
        def passes(video: Mapping[str, Any]) -> bool:
            return self.in_range(video["duration"], self.min_duration, self.max_duration)

        return videos_pass(outcomes, self.any_or_all, passes)

    @override
    def measured(self, sample: Sample, outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
        return measured_of(outcomes, "duration")

    @override
    def wanted(self) -> Mapping[str, Any]:
        ends = self.range_wanted(min_duration=self.min_duration, max_duration=self.max_duration)
        return {**ends, **rule_wanted(self.any_or_all)}
