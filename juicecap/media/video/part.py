"""Parts of films (`juicecap.fragment`), whose facts are told as if each were a file of its own."""

from __future__ import annotations

from dataclasses import replace

from juicecap.errors import MediaError
from juicecap.fragment import WHOLE, Span
from juicecap.media.video.probe import VideoInfo
from juicecap.sample import display_path


def part_of(path: str, info: VideoInfo, span: Span) -> VideoInfo:
    """The facts about a part of the film at `path`. How many frames it has is not known.

    Raises:
        MediaError: `BEHIND_THE_END`.
    """
    if span == WHOLE:
        return info
    seconds = span.seconds(info.duration)
    if seconds <= 0:
        raise behind_the_end(path, info.duration, span)
    return replace(
        info,
        duration=seconds,
        frames=None,
        missing=max(0.0, span.seconds(info.duration + info.missing) - seconds),
        cut_off=info.cut_off and (span.end is None or span.end > info.duration),
    )


def behind_the_end(path: str, duration: float, span: Span) -> MediaError:
    """The error of a part that begins where its film is over."""
    lasts = f"{display_path(path)} lasts {duration:.2f} seconds"
    return MediaError("BEHIND_THE_END", f"{lasts}, and the part #{span} begins behind its end")


def part_times(moments: list[float], span: Span) -> tuple[float, ...]:
    """The times of a film's frames as those of its part; of a frame that is on screen already where the part begins, 0."""
    return tuple(max(0.0, moment - span.start) for moment in moments) if span.start else tuple(moments)
