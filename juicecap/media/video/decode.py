"""Sampled frames of a video, scaled while they are decoded.

Only what is needed is decoded and only what is asked for is kept: the file is sought where a key frame lies between the last
frame taken and the next instant wanted (`walk`), and each frame is scaled by libswscale to its final size before it leaves
this module. So memory depends on the number of frames taken, never on the length of the video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from av import VideoFrame

from juicecap.errors import MediaError
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import FrameSampling, most_frames, target_times
from juicecap.media.video.probe import VideoInfo, info_of, open_video, oversize, refused_size
from juicecap.media.video.reader import FrameReader, TimedFrame
from juicecap.media.video.seek_planner import SeekPlanner
from juicecap.media.video.shown.scaler import Scaler
from juicecap.sample import display_path

SizeRule = Callable[[int, int, int], tuple[int, int]]
"""(frames, width, height) of the upright video to the (width, height) that is wanted."""

Allocate = Callable[[int, int, int], np.ndarray]
"""(count, height, width) to room for so many frames: uint8 (count, height, width, 3), writable."""


def in_memory(count: int, height: int, width: int) -> np.ndarray:
    """Room for frames in this process."""
    return np.empty((count, height, width, 3), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Frames in order: `pixels` (n, height, width, 3) uint8 upright RGB, `times` seconds from the first frame of the video.

    `unreadable` counts damaged packets that were passed over on the way (see `reader`); `tone_mapped`: they are HDR that was made
    SDR.
    """

    pixels: np.ndarray
    times: tuple[float, ...]
    info: VideoInfo
    unreadable: int
    tone_mapped: bool = False


def decode_frames(
    path: str, sampling: FrameSampling, size: SizeRule, *, rules: MediaLimits = DEFAULT_RULES, allocate: Allocate = in_memory
) -> Frames:
    """Decode the frames of `path` that `sampling` asks for, scaled to `size`, into what `allocate` gives.

    A frame that is on screen at several of the sampled instants is returned once. The frames are the first ones of the room
    that was allocated last; there may be less of them than room.

    Raises:
        MediaError: as `probe`; `UNDECODABLE` if not one frame could be read; whatever `size` raises.
    """

    def keep_to(frame: VideoFrame) -> None:  # what follows may be larger than what the header tells
        if frame.width * frame.height > rules.max_pixels:
            raise oversize(path, frame.width, frame.height, rules)

    with open_video(path, rules) as video:
        reader = FrameReader(*video, sparing=True)
        frames = _taken(reader, info_of(path, video, reader, rules), sampling, size, allocate, keep_to)
    if frames is None or frames.unreadable:  # which frames a decoder can do without, it tells reliably of whole files only
        with open_video(path, rules) as video:
            reader = FrameReader(*video)
            frames = _taken(reader, info_of(path, video, reader, rules), sampling, size, allocate, keep_to)
        if frames is None:
            lost = f"{display_path(path)}: not one frame can be decoded ({reader.unreadable} damaged packets)"
            raise refused_size(path, rules) or MediaError("UNDECODABLE", lost)
    return frames


def _taken(
    reader: FrameReader,
    info: VideoInfo,
    sampling: FrameSampling,
    size: SizeRule,
    allocate: Allocate,
    keep_to: Callable[[VideoFrame], None],
) -> Frames | None:
    """The frames; None if there is not one."""
    times = target_times(sampling, duration=info.duration)
    most = most_frames(len(times), duration=info.duration, fps=info.fps, frames=info.frames)
    wanted = size(most, info.width, info.height)
    scaler, pixels = Scaler(info.orientation, wanted), allocate(most, *wanted[::-1])
    shown: list[float] = []
    for time, frame in _distinct(SeekPlanner(reader), times):
        keep_to(frame)
        if len(shown) == len(pixels):  # the header told too few
            pixels, before = allocate(len(times), *wanted[::-1]), pixels.copy()
            pixels[: len(before)] = before
        pixels[len(shown)] = scaler.scaled(frame)
        shown.append(time)
    if not shown:
        return None
    return Frames(
        pixels=pixels[: len(shown)],
        times=tuple(shown),
        info=info,
        unreadable=reader.unreadable,
        tone_mapped=scaler.tone_mapped,
    )


def _distinct(walker: SeekPlanner, times: list[float]) -> Iterator[TimedFrame]:
    before = None
    for time in times:
        shown = walker.frame_at(time)
        if shown is not None and shown[0] != before:
            before = shown[0]
            yield shown
