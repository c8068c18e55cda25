"""The parameters of every op that reads media: how large they may be, and from where they may come."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from juicecap.errors import SampleError
from juicecap.fragment import checked_time, time_of, with_span
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import PICTURE_FPS
from juicecap.naming import unnameable
from juicecap.nested import value_of
from juicecap.ops.options.groups import LIMITS
from juicecap.ops.options.numbers import Amount, FrameRate, Megabytes, Pixels, Seconds, Share
from juicecap.ops.options.run_options import RUN_ONLY
from juicecap.ops.options.types import NOT_EMPTY
from juicecap.sample import Sample, display_path, list_in_cell, media_paths, short_repr
from juicecap.vlm.base import LATER, Limits


def root_problems(settings: object) -> list[tuple[str, str]]:
    """What is wrong with the `media_root` of settings that have one, as (parameter, sentence) pairs."""
    root = getattr(settings, "media_root", None) or ""
    why = unnameable(root)
    return [("media_root", f"media_root: {display_path(root)} {why}")] if why else []


@dataclass(frozen=True, kw_only=True)
class MediaOptions:
    """Mixed into ops, and into the keys of a recipe, which sets them for all of its ops."""

    allow_remote: bool = field(default=False, metadata=LIMITS)
    """Whether media that are addresses (https://…, s3://…) are fetched."""
    media_root: str | None = field(default=None, metadata={**LIMITS, **NOT_EMPTY})
    """Folder that local media must lie in, links followed; null: anywhere."""
    start_key: str | None = field(default=None, metadata={**LIMITS, **LATER, **NOT_EMPTY})
    """Column with the start of the part of each video that is used, in seconds or as hh:mm:ss.ms; null: its beginning."""
    end_key: str | None = field(default=None, metadata={**LIMITS, **LATER, **NOT_EMPTY})
    """Column with the end of that part; null: the video's end."""
    media_max_seconds: Seconds = field(default=DEFAULT_RULES.max_seconds, metadata=LIMITS)
    """Seconds that a video may last; .inf: thirty years."""
    media_max_frames: Amount = field(default=DEFAULT_RULES.max_frames, metadata=LIMITS)
    """Frames that a video may have."""
    media_max_damage: Share = field(default=DEFAULT_RULES.max_damage, metadata={**LIMITS, **LATER})
    """Share of the frames asked for that a damaged video may fail to give; 1: whatever can be read is shown."""
    media_max_pixels: Pixels = field(default=DEFAULT_RULES.max_pixels, metadata=LIMITS)
    """Pixels that a picture, or a frame of a video, may have."""
    media_max_mb: Megabytes = field(default=DEFAULT_RULES.max_bytes >> 20, metadata=LIMITS)
    """Megabytes that a file may have."""
    picture_fps: FrameRate = field(default=PICTURE_FPS, metadata={**LIMITS, **LATER})
    """Pictures per second of a video that is a folder of numbered pictures."""
    remote_max_mb: Megabytes = field(default=DEFAULT_RULES.remote_bytes >> 20, metadata=LIMITS)
    """Megabytes that a file that is fetched may have."""
    remote_seconds: Seconds = field(default=DEFAULT_RULES.remote_seconds, metadata={**RUN_ONLY, **LIMITS})
    """Seconds that fetching a file may take; .inf: no limit."""

    def media_rules(self) -> MediaLimits:
        """These parameters as `MediaLimits`."""
        return MediaLimits(
            max_pixels=self.media_max_pixels,
            max_frames=self.media_max_frames,
            max_seconds=self.media_max_seconds,
            max_damage=self.media_max_damage,
            max_bytes=self.media_max_mb << 20,
            root="" if self.media_root is None else os.path.realpath(self.media_root),
            allow_remote=self.allow_remote,
            remote_bytes=self.remote_max_mb << 20,
            remote_seconds=self.remote_seconds,
        )

    def limits(self, batch_size: int | None = None) -> Limits:
        """The limits that these parameters set, for what an op asks."""
        return Limits(batch_size=batch_size, media=self.media_rules())

    def part_columns(self) -> tuple[tuple[str, str], ...]:
        """(parameter, column) pairs of the columns that name parts, for `columns_required`."""
        named = (("start_key", self.start_key), ("end_key", self.end_key))
        return tuple((name, column) for name, column in named if column)

    def video_paths(self, sample: Sample, column: str) -> list[str]:
        """The paths of the videos in a column (`media_paths`); a part has it as its fragment, also where columns name it.

        Raises:
            SampleError: as `media_paths`; `BAD_FRAGMENT`.
        """
        paths = media_paths(sample, column)
        starts, ends = (_times(sample, name, len(paths)) for name in (self.start_key, self.end_key))
        return [with_span(path, start, end) for path, start, end in zip(paths, starts, ends, strict=True)]


def _times(sample: Sample, column: str | None, count: int) -> list[float | None]:
    """The times in a column, for so many videos: one of all of them, or a list, which a cell of a CSV file has as JSON.

    Raises:
        SampleError: `BAD_FRAGMENT`.
    """
    value = list_in_cell(value_of(sample, column)) if column else None
    listed = list(value) if isinstance(value, list | tuple) else [value] * count
    if len(listed) != count:
        told = f"has {len(listed)} times for {count} {'video' if count == 1 else 'videos'}"
        raise SampleError("BAD_FRAGMENT", f"column {column!r} {told}")
    try:
        return [_time(each) for each in listed]
    except (TypeError, ValueError) as error:
        raise SampleError("BAD_FRAGMENT", f"column {column!r} {error}") from None


def _time(value: Any) -> float | None:
    """A time in seconds; None where a table has nothing, or NaN.

    Raises:
        TypeError, ValueError: it is no time; the message is the rest of a sentence.
    """
    if value is None or value == "" or value != value:  # noqa: PLR0124  (only NaN differs from itself)
        return None
    if isinstance(value, str):
        return time_of(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"has {short_repr(value)} where a time should be")
    return checked_time(value)
