"""Which instants of a video the model sees. Pure functions; no file is opened here.

Frames are chosen by time, not by number: `target_times` spreads instants evenly from the first frame to the last, and the
frame that is on screen at an instant is the last one whose timestamp is not later. Nothing depends on the file's frame rate,
so constant and variable frame rates of the same scene give the same pictures.

The number of frames follows Qwen's convention (`fps` times the duration, at least `min_frames`, at most `max_frames`,
first and last frame included), see `Qwen3VLVideoProcessor.sample_frames` in transformers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from juicecap.fragment import Span

TIME_TOLERANCE = 1e-4
"""Seconds by which a timestamp may lie after an instant and still count as on screen (rounding of container time bases)."""


PICTURE_FPS = 2.0
"""Pictures in a second of a film of single pictures, unless a recipe or a row says otherwise: that of Qwen's `qwen_vl_utils`."""


@dataclass(frozen=True, kw_only=True)
class FrameSampling:
    """How to sample frames. Times are seconds, pixels count per frame."""

    fps: float = 2.0
    num_frames: int | None = None
    min_frames: int = 4
    max_frames: int = 768
    start: float | None = None
    end: float | None = None
    min_pixels: int | None = None
    max_pixels: int | Literal["none"] | None = None
    """`none`: pictures keep their size, also where the rules of the model's processor are not known."""
    picture_fps: float = field(default=PICTURE_FPS, metadata={"later": True})  # see `LATER` of `vlm.base`
    """Pictures in a second of a film of single pictures."""

    def problems(self) -> list[tuple[str, str]]:
        """What contradicts itself, as (parameter, sentence) pairs."""
        found = []
        if self.min_frames > self.max_frames:
            found.append(("min_frames", f"min_frames ({self.min_frames}) is larger than max_frames ({self.max_frames})"))
        if self.start is not None and self.end is not None and self.start >= self.end:
            found.append(("end", f"end ({self.end}) is not later than start ({self.start})"))
        if self.min_pixels is not None and isinstance(self.max_pixels, int) and self.min_pixels > self.max_pixels:
            found.append(("min_pixels", f"min_pixels ({self.min_pixels}) is larger than max_pixels ({self.max_pixels})"))
        return found


def window(sampling: FrameSampling, duration: float) -> tuple[float, float]:
    """The stretch (seconds) from which frames are taken. `start` and `end` are cut to the video."""
    begin = min(max(0.0, sampling.start or 0.0), duration)
    finish = duration if sampling.end is None else min(max(begin, sampling.end), duration)
    return begin, finish


def frame_count(sampling: FrameSampling, seconds: float) -> int:
    """How many instants to take from `seconds` of video."""
    if sampling.num_frames is not None:
        return sampling.num_frames
    return min(max(int(seconds * sampling.fps + 1e-6), sampling.min_frames), sampling.max_frames)


def target_times(sampling: FrameSampling, *, duration: float) -> list[float]:
    """The instants to sample (seconds from the first frame): evenly spaced, increasing, from one end of `window` to the other.

    The last frame of a video is on screen at `duration`, its end. A video with fewer frames than instants shows the same
    frame at several of them; the decoder hands each frame over once. A `start` behind the end gives the last frame.
    """
    begin, finish = window(sampling, duration)
    count = frame_count(sampling, finish - begin)
    if begin == finish or count == 1:
        return [begin]
    step = (finish - begin) / (count - 1)
    return [begin + step * index for index in range(count - 1)] + [finish]


def film_time(time: float, span: Span) -> float:
    """When an instant of a part is in its film. What begins where the part ends does not belong to it any more."""
    return min(span.start + time, math.inf if span.end is None else span.end - 2 * TIME_TOLERANCE)


def most_frames(instants: int, *, duration: float, fps: float, frames: int | None) -> int:
    """The largest number of frames for this many instants: frames of a short or slow video are shown at several of them."""
    return min(instants, frames or math.ceil(duration * fps) + 1)


def shown_times(sampling: FrameSampling, *, duration: float, fps: float, frames: int | None) -> list[float]:
    """The times of the frames that are taken from a video with a constant rate, each once. Says it from the header alone."""
    last = max(0, (frames or math.ceil(duration * fps)) - 1)
    numbers = (min(last, int((time + TIME_TOLERANCE) * fps)) for time in target_times(sampling, duration=duration))
    return [number / fps for number in dict.fromkeys(numbers)]


def frames_at(times: Sequence[float], timestamps: Sequence[float]) -> list[int]:
    """For each of the non-decreasing `times` the index of the frame on screen, given all `timestamps` in order.

    Before the first timestamp the first frame is on screen. This is the definition that the decoder follows without
    holding all timestamps; tests compare the two.
    """
    chosen, index = [], 0
    for time in times:
        while index + 1 < len(timestamps) and timestamps[index + 1] <= time + TIME_TOLERANCE:
            index += 1
        chosen.append(index)
    return chosen
