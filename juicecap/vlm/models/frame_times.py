"""Frame times in the words of processors and servers, which know a frame rate and frame numbers only."""

from __future__ import annotations

from typing import Any

from juicecap.media.picture import MediaFrames

CLOCK = 1000
"""Ticks per second: a frame at 1.25 s is frame number 1250 of a video with 1000 frames per second."""

SPACING = "second_per_grid_ts"
"""What processors call the seconds between the temporal patches of each video (Qwen2.5-VL)."""


def at_least_two(picture: MediaFrames) -> MediaFrames:
    """Processors refuse videos of one frame: show it twice."""
    if len(picture.pixels) > 1:
        return picture
    return MediaFrames(pixels=picture.pixels.repeat(2, axis=0), times=picture.times * 2, duration=picture.duration)


def video_metadata(picture: MediaFrames) -> dict[str, Any]:
    """What a processor is told about the frames of a video; a fresh dict each time, since some change it."""
    ticks = [round(time * CLOCK) for time in picture.times]
    total = max(round(picture.duration * CLOCK), ticks[-1] + 1)
    return {"total_num_frames": total, "fps": CLOCK, "duration": total / CLOCK, "frames_indices": ticks}
