"""The facts about a video file: from its header, and from its first frame, which alone has the rotation."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import av
import av.error
import av.logging
from av import Packet
from av.container import InputContainer
from av.video.stream import VideoStream

from juicecap.errors import EnvironmentFailure, MediaError
from juicecap.fragment import WHOLE, Span
from juicecap.media.access.files import open_file
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.video.extent import Evidence, Measure, evidence_of, extent_of, measured, times_of
from juicecap.media.video.packets import packets, raise_memory_error
from juicecap.media.video.rate import rate_of
from juicecap.media.video.reader import FrameReader, frame_rate
from juicecap.media.video.shown.orientation import Orientation, orientation_of
from juicecap.media.video.streams import best_of, counted, films
from juicecap.sample import display_path

_NOT_FILMS = ("adf", "bin", "concat", "dash", "hls", "idf", "image2", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp", "tty", "xbin")
"""Demuxers that make a film of a text: of what it would look like on a terminal, or of the files that it names."""

_OPTIONS = {
    "protocol_whitelist": "fd",
    "format_whitelist": ",".join(sorted(set(",".join(av.formats_available).split(",")) - set(_NOT_FILMS))),
}

LONGEST = 1e9
"""Seconds, thirty years: a header that says more lies, whatever the rules allow."""

_STREAMS_AT_OPENING = 16
"""Streams of a file whose pictures are kept from being too large while it is opened."""

_MOST_PIXELS = 2**31 - 1
"""Of a limit that FFmpeg takes; with a larger one it opens no decoder."""

_OVERSIZE = re.compile(r"Picture size (\d+)x(\d+) (?:is invalid|exceeds specified max pixel count)")
"""What FFmpeg says where it refuses a picture for its size."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Facts about a video. `width` and `height` are those of the picture as a player shows it: upright, with square pixels.

    `duration` is seconds from the start of the first frame to the end of the last one that is there; `fps` is the average of its
    frames; `frames` is None where the file does not say (WebM); `rotation` is degrees clockwise by which the stored picture is
    turned to stand upright, after its left and right have changed places if it is `mirrored`.

    `missing` is seconds that the file's index promises behind the last frame that is there, which count no more; `cut_off` says
    that the file is shorter than it says itself; `jumps` that its timestamps start again on the way.
    """

    duration: float
    fps: float
    width: int
    height: int
    frames: int | None
    codec: str
    rotation: int
    mirrored: bool = False
    missing: float = 0.0
    cut_off: bool = False
    jumps: bool = False

    @property
    def orientation(self) -> Orientation:
        """How a frame is laid on the screen, once its pixels are square."""
        return Orientation(rotation=self.rotation, mirrored=self.mirrored)


def probe(path: str, rules: MediaLimits = DEFAULT_RULES, span: Span = WHOLE) -> VideoInfo:
    """Read a video's header. Of the film only the `span` must be as short as the rules want.

    Raises:
        MediaError: as `open_file`; `UNREADABLE`, `NO_VIDEO_STREAM`, or `TOO_LARGE`.
        EnvironmentFailure: as `open_file`, or FFmpeg cannot read open files.
        MemoryError: this process may not take as much memory as that needs.
    """
    with open_video(path, rules) as (container, stream):
        evidence = evidence_in(path, container, rules)
        reader = FrameReader(container, stream, encrypted=evidence.encrypted)
        return info_of(path, (container, stream), reader, evidence, rules, span)


def evidence_in(path: str, container: InputContainer, rules: MediaLimits) -> Evidence:
    """What the bytes of a file say, which is open as a `container`."""
    with open_file(path, rules) as fd:
        return evidence_of(fd, container, os.fstat(fd).st_size)


@contextmanager
def open_video(path: str, rules: MediaLimits = DEFAULT_RULES) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and that of its video streams which is the film; FFmpeg's errors become `MediaError`s.

    Only plain files are opened, and nothing that they name: FFmpeg would take `http://…` or `concat:…` for a protocol, follow
    a playlist, and film a text. Pictures that are too large are refused by FFmpeg before it sets memory aside for them.
    """
    with open_file(path, rules) as fd:
        try:
            with _film(path, fd, rules) as (container, stream):
                _check_stream(path, stream, rules)
                stream.codec_context.options = _most(rules)
                yield container, stream
        except av.error.ProtocolNotFoundError as error:  # of no file's making: its own are not on the whitelist
            what = "this FFmpeg cannot read an open file (its protocol fd)"
            raise EnvironmentFailure(f"{what}: install av from its own wheels; running again resumes") from error
        except av.error.FFmpegError as error:
            raise_memory_error(error)
            why = "" if isinstance(error, av.error.ArgumentError) else f" that can be read ({error.strerror})"
            raise MediaError("UNREADABLE", f"{display_path(path)} is not a video{why}") from error


def info_of(
    path: str,
    video: tuple[InputContainer, VideoStream],
    reader: FrameReader,
    evidence: Evidence,
    rules: MediaLimits,
    span: Span = WHOLE,
) -> VideoInfo:
    """The facts about an open video from which `reader` has not taken a frame yet; `span` as in `probe`.

    Raises:
        MediaError: `TOO_LARGE`: its first picture is too large, or it lasts too long; `UNREADABLE`; `ENCRYPTED`.
    """
    container, stream = video
    if reader.upcoming is None and reader.encrypted:
        raise encrypted(path)
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    orientation = orientation_of(reader.upcoming[1] if reader.upcoming else None, aspect)
    width, height = stream.codec_context.width, stream.codec_context.height
    if not width or not height:  # a decoder forgets what the header says when it meets a size that it refuses
        raise refused_size(path, rules) or _sizeless(path)
    width, height = orientation.size(width, height)
    extent = extent_of(
        container, stream, evidence, origin=reader.origin, fps=reader.fps, measure=lambda since: _measured(path, rules, since)
    )
    duration = max(extent.seconds, 1 / reader.fps)
    _check_duration(path, span.seconds(duration), rules)
    return VideoInfo(
        duration=duration,
        fps=rate_of(container, stream, header=reader.fps, duration=duration, read=lambda: _packets_of(path, rules)),
        width=width,
        height=height,
        frames=extent.frames,
        codec=stream.codec_context.name,
        rotation=orientation.rotation,
        mirrored=orientation.mirrored,
        missing=(missing := max(0.0, extent.promised - duration)),
        cut_off=evidence.cut_off or bool(missing and not evidence.encrypted),
        jumps=extent.jumps,
    )


def encrypted(path: str) -> MediaError:
    """The error of a video that only its owner can read."""
    return MediaError("ENCRYPTED", f"{display_path(path)} is encrypted")


def refused_size(path: str, rules: MediaLimits) -> MediaError | None:
    """Why nothing could be decoded, if it is that FFmpeg found a picture too large; it says so in its log only."""
    level, skipping = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # of what is skipped, a word comes with the next message
    try:
        with (
            av.logging.Capture() as said,
            suppress(av.error.FFmpegError),
            open_file(path, rules) as fd,
            _film(path, fd, rules) as (container, stream),
        ):
            stream.codec_context.options = _most(rules)
            FrameReader(container, stream)
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skipping)
    sizes = [(int(match[1]), int(match[2])) for _, _, words in said if (match := _OVERSIZE.search(words))]
    return next((oversize(path, *size, rules) for size in sizes if math.prod(size) > rules.max_pixels), None)


def oversize(path: str, width: int, height: int, rules: MediaLimits) -> MediaError:
    """The error of a video whose frames are too large."""
    sizes = f"{width}x{height}, more than {rules.max_pixels} pixels"
    return MediaError("TOO_LARGE", f"{display_path(path)} has frames of {sizes} (media_max_pixels)")


def _container(fd: int, rules: MediaLimits) -> InputContainer:
    """An open file, of which FFmpeg has decoded as much as it needs to know what is in it."""
    options = {**_OPTIONS, "fd": str(fd)}
    each: list[Any] = [_most(rules)] * _STREAMS_AT_OPENING  # PyAV's stub says `list[str]`
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        return av.open("fd:", metadata_errors="replace", options=options, stream_options=each)
    except ValueError:  # PyAV: FLV and MPEG program streams have no streams yet that could have options
        os.lseek(fd, 0, os.SEEK_SET)
        return av.open("fd:", metadata_errors="replace", options=options)


def _most(rules: MediaLimits) -> dict[str, str]:
    """What keeps a decoder of FFmpeg's from setting memory aside for pictures that are too large, whose margins it counts too."""
    return {"max_pixels": str(min(2 * rules.max_pixels + 2**20, _MOST_PIXELS))}


def check_facts(path: str, info: VideoInfo, rules: MediaLimits, span: Span = WHOLE) -> None:
    """Refuse a film that is too large in any way; `span` as in `probe`.

    Raises:
        MediaError: `TOO_LARGE`.
    """
    check_size(path, info.width, info.height, rules)
    if info.frames is not None and info.frames > rules.max_frames:
        raise _too_many_frames(path, info.frames, rules)
    _check_duration(path, span.seconds(info.duration), rules)


def check_size(path: str, width: int, height: int, rules: MediaLimits) -> None:
    """Refuse pictures that are too large."""
    if width * height > rules.max_pixels:
        raise oversize(path, width, height, rules)


def _check_duration(path: str, duration: float, rules: MediaLimits) -> None:
    if duration > (most := min(rules.max_seconds, LONGEST)):
        seconds = f"{duration:.0f} seconds, more than {most:g}"
        raise MediaError("TOO_LARGE", f"{display_path(path)} lasts {seconds} (media_max_seconds)")


@contextmanager
def _film(path: str, fd: int, rules: MediaLimits) -> Iterator[tuple[InputContainer, VideoStream]]:
    """An open file and its film. Where several streams may be it, what the file begins with is read once before."""
    with _container(fd, rules) as container:
        streams = films(container)
        if len(streams) == 1:
            yield container, streams[0]
            return
        if not streams:
            raise MediaError("NO_VIDEO_STREAM", f"{display_path(path)} has no video stream")
        number = best_of(streams, counted(container, streams)).index
    with _container(fd, rules) as container:
        yield container, cast("VideoStream", container.streams[number])


def _check_stream(path: str, stream: VideoStream, rules: MediaLimits) -> None:
    """Refuse a film whose header breaks a rule."""
    name = display_path(path)
    if stream.codec_context is None:
        raise MediaError("UNREADABLE", f"{name} is encoded in a way that this FFmpeg cannot decode")
    width, height = stream.codec_context.width, stream.codec_context.height
    if not width or not height:
        raise refused_size(path, rules) or _sizeless(path)
    check_size(path, width, height, rules)
    if stream.frames > rules.max_frames:
        raise _too_many_frames(path, stream.frames, rules)
    stream.thread_type = "NONE"  # clips are decoded side by side; threads inside of one would wait for each other


def _sizeless(path: str) -> MediaError:
    return MediaError("UNREADABLE", f"{display_path(path)} does not say how large its pictures are")


def _too_many_frames(path: str, frames: int, rules: MediaLimits) -> MediaError:
    return MediaError("TOO_LARGE", f"{display_path(path)} has {frames} frames, more than {rules.max_frames} (media_max_frames)")


def measured_seconds(path: str, rules: MediaLimits) -> float:
    """How long a file's packets last that are there."""
    found = _measured(path, rules, None)
    return math.inf if found.begin is None else found.end - found.begin


def packet_times(path: str, rules: MediaLimits) -> list[float]:
    """The times of the pictures that a file's packets bear, in seconds from the first one that is shown, and in order.

    The second half of an interlaced picture has no time of its own; of a raw stream, whose packets have none, all are counted.

    Raises:
        MediaError: as `probe`.
    """
    with open_video(path, rules) as (container, stream):
        step = 1 / frame_rate(stream)
        shown = (packet for packet in _counted(path, packets(container, stream), rules) if packet.size and not packet.is_discard)
        times, count = times_of(shown, stream, step=step)
    return sorted(time - min(times) for time in times) if times else [number * step for number in range(count)]


def _measured(path: str, rules: MediaLimits, since: float | None) -> Measure:
    """What the packets of a file tell, or those from about a time by its clock on."""
    with open_video(path, rules) as (container, stream):
        if since is not None and stream.time_base:
            with suppress(av.error.FFmpegError):
                container.seek(int(since / stream.time_base), stream=stream)
        return measured(_counted(path, packets(container, stream), rules), stream, step=1 / frame_rate(stream))


def _packets_of(path: str, rules: MediaLimits) -> Iterator[Packet[VideoStream]]:
    with open_video(path, rules) as (container, stream):
        yield from _counted(path, packets(container, stream), rules)


def _counted(path: str, read: Iterator[Packet[VideoStream]], rules: MediaLimits) -> Iterator[Packet[VideoStream]]:
    """The packets, if there are not too many."""
    for count, packet in enumerate(read, 1):
        if count > rules.max_frames and packet.size:
            raise _too_many_frames(path, count, rules)
        yield packet
