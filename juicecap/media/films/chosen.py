"""Which frames are taken of a film whose frames and their times are all known before it is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from juicecap.fragment import Span
from juicecap.media.sampling import FrameSampling, film_time, frames_at, most_frames, target_times
from juicecap.media.video.decode import SizeRule
from juicecap.media.video.probe import VideoInfo


@dataclass(frozen=True, kw_only=True)
class ChosenFrames:
    """The frames that are taken: each once, in order."""

    times: Sequence[float]
    """The sampled instants, in seconds from the beginning of the part."""
    on_screen: Sequence[int]
    """The number of the frame that is on screen at each of them."""
    numbers: Sequence[int]
    size: tuple[int, int]
    """Width and height to which they are scaled."""


def chosen_frames(info: VideoInfo, stamps: Sequence[float], sampling: FrameSampling, size: SizeRule, span: Span) -> ChosenFrames:
    """What `sampling` takes of a film with frames at `stamps`; `info` is about its part `span`."""
    times = target_times(sampling, duration=info.duration)
    on_screen = frames_at([film_time(time, span) for time in times], stamps)
    most = most_frames(len(times), duration=info.duration, fps=info.fps, frames=info.frames)
    return ChosenFrames(
        times=times,
        on_screen=on_screen,
        numbers=list(dict.fromkeys(on_screen)),
        size=size(most, info.width, info.height),
    )
