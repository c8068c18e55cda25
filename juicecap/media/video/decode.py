"""Sampled frames of a video, scaled while they are decoded.

Only needed frames are decoded and only requested ones are kept: the decoder seeks if a key frame lies between the last
frame taken and the next instant wanted (`seek_planner`), and each frame is scaled by libswscale to its final size before it
leaves this module. So memory depends on the number of frames taken, never on the length of the video.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from av import VideoFrame

from juicecap.errors import MediaError
from juicecap.fragment import WHOLE, Span
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.sampling import FrameSampling, film_time, most_frames, target_times
from juicecap.media.video.damage import Sampled, damage_of, frames_end, refusal
from juicecap.media.video.part import behind_the_end, part_of, part_times
from juicecap.media.video.probe import VideoInfo, evidence_in, info_of, measured_seconds, open_video, oversize, refused_size
from juicecap.media.video.reader import FrameReader, SeekFailed
from juicecap.media.video.seek_planner import SeekPlanner
from juicecap.media.video.shown.scaler import Scaler
from juicecap.sample import display_path

SizeRule = Callable[[int, int, int], tuple[int, int]]
"""(frames, width, height) of the upright video to the (width, height) that is wanted."""

Allocate = Callable[[int, int, int], np.ndarray]
"""(count, height, width) to room for that many frames: uint8 (count, height, width, 3), writable."""


def in_memory(count: int, height: int, width: int) -> np.ndarray:
    """Memory for frames in this process."""
    return np.empty((count, height, width, 3), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Frames in order: `pixels` (n, height, width, 3) uint8 upright RGB, `times` seconds from the first frame of the video.

    Of a part of a film `times` count from where it begins, and `info` is about it. `unreadable` counts damaged packets that were
    passed over on the way (see `reader`); `damage` says in words what is wrong with the file, and is empty where nothing is;
    `tone_mapped`: they are HDR that was made SDR.
    """

    pixels: np.ndarray
    times: tuple[float, ...]
    info: VideoInfo
    unreadable: int
    damage: str = ""
    tone_mapped: bool = False


def decode_frames(
    path: str,
    sampling: FrameSampling,
    size: SizeRule,
    *,
    span: Span = WHOLE,
    rules: MediaLimits = DEFAULT_RULES,
    allocate: Allocate = in_memory,
) -> Frames:
    """Decode the frames of `path` that `sampling` asks for, scaled to `size`, into what `allocate` gives.

    Of the film the `span` counts, as if it were a file. A frame that is on screen at several of the sampled instants is returned
    once. The frames are the first ones of the room that was allocated last; there may be less of them than room.

    Raises:
        MediaError: as `probe` and `part_of`; `UNDECODABLE` if not one frame could be read; `DAMAGED` or `ENCRYPTED` if more could
            not than the rules allow; whatever `size` raises.
    """

    def keep_to(frame: VideoFrame) -> None:  # what follows may be larger than what the header tells
        if frame.width * frame.height > rules.max_pixels:
            raise oversize(path, frame.width, frame.height, rules)

    def read(*, sparing: bool, seconds: float | None = None) -> tuple[Frames | None, Sampled]:
        try:
            return _read(path, span, sampling, size, rules, allocate, keep_to, sparing=sparing, seconds=seconds)
        except SeekFailed:
            return _read(path, span, sampling, size, rules, allocate, keep_to, sparing=sparing, seconds=seconds, seeks=False)

    frames, sampled = read(sparing=True)
    if frames is None or frames.unreadable:  # which frames a decoder can do without, it tells reliably of whole files only
        frames, sampled = read(sparing=False)
    if frames is None:
        lost = f"{display_path(path)}: not one frame can be decoded ({sampled.unreadable} damaged packets)"
        raise refused_size(path, rules) or MediaError("UNDECODABLE", lost)
    in_secret = bool(sampled.encrypted or (frames.info.missing and not frames.info.cut_off))
    damage = damage_of(sampled, frames.info, sampling, in_secret=in_secret)
    if error := refusal(path, damage, rules, in_secret=in_secret):
        raise error
    if (end := frames_end(sampled, frames.info)) is not None:
        end = _measured_end(path, span, end if sampled.lost else math.inf, rules)
        if end < frames.info.duration - 1 / frames.info.fps:
            frames = read(sparing=not frames.unreadable, seconds=end)[0] or frames
    return replace(frames, damage=damage.words)


def _measured_end(path: str, span: Span, end: float, rules: MediaLimits) -> float:
    """Where a film's packets end, or its frames if that is before, in seconds from where the part begins."""
    end = min(end, measured_seconds(path, rules) - span.start)
    if end <= 0 < span.start:
        raise behind_the_end(path, span.start + end, span)
    return end


def _read(
    path: str,
    span: Span,
    sampling: FrameSampling,
    size: SizeRule,
    rules: MediaLimits,
    allocate: Allocate,
    keep_to: Callable[[VideoFrame], None],
    *,
    sparing: bool,
    seconds: float | None = None,
    seeks: bool = True,
) -> tuple[Frames | None, Sampled]:
    """The frames, None if there is not one, and what came at each instant; of the first `seconds` only, if that is said."""
    with open_video(path, rules) as (container, stream):
        evidence = evidence_in(path, container, rules)
        reader = FrameReader(container, stream, sparing=sparing, encrypted=evidence.encrypted)
        info = part_of(path, info_of(path, (container, stream), reader, evidence, rules, span), span)
        if seconds is not None:
            info = replace(info, duration=seconds, frames=None)
        if info.jumps:
            reader.follow_jumps()
        reader.can_seek = reader.can_seek and seeks
        return _taken(reader, info, span, sampling, size, allocate, keep_to)


def _taken(
    reader: FrameReader,
    info: VideoInfo,
    span: Span,
    sampling: FrameSampling,
    size: SizeRule,
    allocate: Allocate,
    keep_to: Callable[[VideoFrame], None],
) -> tuple[Frames | None, Sampled]:
    times = target_times(sampling, duration=info.duration)
    most = most_frames(len(times), duration=info.duration, fps=info.fps, frames=info.frames)
    wanted = size(most, info.width, info.height)
    scaler, pixels = Scaler(info.orientation, wanted), allocate(most, *wanted[::-1])
    shown: list[float] = []
    on_screen: list[float | None] = []
    planner = SeekPlanner(reader)
    for instant in times:
        time, frame = planner.frame_at(film_time(instant, span)) or (None, None)
        on_screen.append(None if time is None else time - span.start)
        if time is None or frame is None or (shown and time == shown[-1]):
            continue
        keep_to(frame)
        if len(shown) == len(pixels):  # the header announced too few
            pixels, before = allocate(len(times), *wanted[::-1]), pixels.copy()
            pixels[: len(before)] = before
        pixels[len(shown)] = scaler.scaled(frame)
        shown.append(time)
    sampled = Sampled(
        times=times,
        on_screen=on_screen,
        lost=[time - span.start for time in reader.lost],
        encrypted=reader.encrypted,
        unreadable=reader.unreadable,
        ended=reader.upcoming is None,
    )
    if not shown:
        return None, sampled
    frames = Frames(
        pixels=pixels[: len(shown)],
        times=part_times(shown, span),
        info=info,
        unreadable=reader.unreadable,
        tone_mapped=scaler.tone_mapped,
    )
    return frames, sampled
