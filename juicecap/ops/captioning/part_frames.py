"""What a part of a message says of the frames of its medium, in the words of Qwen's `qwen_vl_utils`.

`fps` of a list of pictures is their rate, as older versions of that library read it; newer ones call it `sample_fps`. A list is
shown whole, as there, unless a number of frames is set: who wrote it has chosen its pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from jsonargparse.typing import PositiveFloat

from juicecap.errors import SampleError
from juicecap.media.sampling import FrameSampling
from juicecap.notice import say_once
from juicecap.ops.options.numbers import Enlarged, FrameRate, Frames, Moment, Pixels
from juicecap.ops.options.types import type_problems

OF_IMAGES = ("min_pixels", "max_pixels")
"""What is said of a picture; the rest is said of videos alone."""

NOT_KEPT = ("total_pixels", "resized_height", "resized_width")
"""What `qwen_vl_utils` knows besides. Sizes follow from the limits of one frame and the model's own rules."""

_KINDS = {"image": "images", "video": "videos"}

_FRACTIONS = ("fps", "sample_fps", "video_start", "video_end")

_OWN_NAMES = {"nframes": "num_frames", "sample_fps": "picture_fps", "video_end": "end", "video_start": "start"}
"""Names of `FrameSampling` that are other ones there."""


@dataclass(frozen=True, kw_only=True)
class PartFrames:
    """The settings of one part; None: as the op has it."""

    fps: FrameRate | None = None
    nframes: Frames | None = None
    min_frames: Frames | None = None
    max_frames: Frames | None = None
    min_pixels: Enlarged | None = None
    max_pixels: Pixels | None = None
    video_start: Moment | None = None
    video_end: PositiveFloat | None = None
    sample_fps: FrameRate | None = None

    def problems(self, *, listed: bool) -> list[str]:
        """What is wrong with the settings, in sentences; `listed`: of a film that is a list of pictures."""
        found = [sentence for _, sentence in type_problems(self)]
        if not found and self.fps is not None and self.nframes is not None and not listed:
            found.append("fps and nframes exclude each other: set one of them")
        if not found and listed and None not in (self.fps, self.sample_fps) and self.fps != self.sample_fps:
            found.append(
                f"fps ({self.fps}) and sample_fps ({self.sample_fps}) are both the rate of the pictures: set one of them"
            )
        return found

    def applied(self, frames: FrameSampling, *, listed: bool) -> FrameSampling:
        """An op's sampling with these settings in place of its own."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        own: dict[str, Any] = {
            _OWN_NAMES.get(name, name): float(value) if name in _FRACTIONS else value for name, value in given.items()
        }
        if listed:
            rate = float(self.sample_fps or self.fps or frames.picture_fps)
            return replace(frames, **{**own, "fps": rate, "picture_fps": rate})
        if self.fps is not None:
            own["num_frames"] = None
        return replace(frames, **own)


NO_SETTINGS = PartFrames()


def read_part_frames(part: Mapping[str, Any], kind: str, column: str, *, listed: bool) -> PartFrames:
    """The settings that a part of a turn has. What cannot be kept is said once.

    Raises:
        SampleError: `BAD_FRAME_SETTINGS`.
    """
    known = [each.name for each in fields(PartFrames)]
    named = [name for name in (*known, *NOT_KEPT) if part.get(name) is not None]
    taken = [name for name in named if name in known and (kind == "video" or name in OF_IMAGES)]
    for name in named:
        if name not in taken:
            say_once(f"parts of column {column!r} set {name} of {_KINDS[kind]}, which is not kept: it changes no frame here")
    settings = PartFrames(**{name: _whole(part[name]) for name in taken})
    if problems := settings.problems(listed=listed):
        raise bad_frames(problems)
    return settings


def bad_frames(problems: list[str]) -> SampleError:
    """The error of settings that cannot work."""
    return SampleError("BAD_FRAME_SETTINGS", f"a part of the conversation cannot be followed: {'; '.join(problems)}")


def _whole(value: Any) -> Any:
    """A whole number as one: tables make fractions of those in a column with gaps."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
