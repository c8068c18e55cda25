"""The parameters of every op that reads media: how large they may be, and from where they may come."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import PICTURE_FPS
from juicecap.naming import unnameable
from juicecap.ops.options.groups import LIMITS
from juicecap.ops.options.numbers import Amount, FrameRate, Megabytes, Pixels, Seconds, Share
from juicecap.ops.options.run_options import RUN_ONLY
from juicecap.ops.options.types import NOT_EMPTY
from juicecap.sample import display_path
from juicecap.vlm.base import LATER


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
