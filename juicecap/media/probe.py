"""What a video file says about itself: its header, and its first frame, which alone knows how the picture is turned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from juicecap.errors import MediaError
from juicecap.media.files import check_file
from juicecap.media.packets import packets
from juicecap.media.reader import FrameReader, frame_rate

_OPTIONS = {"protocol_whitelist": "file"}

_NOT_FILMS = ("tty", "hls", "dash", "concat", "imf", "sdp")
"""Demuxers that make a film of a text: of what it would look like on a terminal, or of the files that it names."""

_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """Facts about a video. `width` and `height` are those of the upright picture, in pixels.

    `duration` is seconds from the start of the first frame to the end of the last one; `frames` is None where the file
    does not say (WebM); `rotation` is degrees clockwise by which the stored picture is turned to stand upright.
    """

    duration: float
    fps: float
    width: int
    height: int
    frames: int | None
    codec: str
    rotation: int


def probe(path: str) -> VideoInfo:
    """Read a video's header.

    Raises:
        MediaError: `FILE_NOT_FOUND`, `NOT_A_FILE`, `NO_PERMISSION`, `UNREADABLE`, `NO_VIDEO_STREAM`.
    """
    with open_video(path) as (container, stream):
        return info_of(path, container, stream, FrameReader(container, stream))


@contextmanager
def open_video(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its first video stream that is not a cover picture; FFmpeg's errors become `MediaError`s.

    Only plain files are opened, and nothing that they name: FFmpeg would take `http://…` or `concat:…` for a protocol, follow
    a playlist, and film a text.
    """
    check_file(path)
    try:
        with av.open(f"file:{path}", metadata_errors="replace", options=_OPTIONS) as container:
            yield container, _video_stream(path, container)
    except (av.error.FFmpegError, UnicodeEncodeError) as error:
        raise MediaError("UNREADABLE", f"{path} is not a video that can be read ({_reason(error)})") from error


def info_of(path: str, container: InputContainer, stream: VideoStream, reader: FrameReader) -> VideoInfo:
    """The facts about an open video from which `reader` has not taken a frame yet."""
    rotation = round(-reader.upcoming[1].rotation / 90) * 90 % 360 if reader.upcoming else 0
    width, height = stream.codec_context.width, stream.codec_context.height
    if rotation in (90, 270):
        width, height = height, width
    duration = _header_duration(container, stream)
    if duration is None:
        duration = _measured_duration(path)
    return VideoInfo(
        duration=max(duration, 1 / reader.fps),
        fps=reader.fps,
        width=width,
        height=height,
        frames=stream.frames or None,
        codec=stream.codec_context.name,
        rotation=rotation,
    )


def _video_stream(path: str, container: InputContainer) -> VideoStream:
    if container.format.name in _NOT_FILMS:
        raise MediaError("UNREADABLE", f"{path} is not a video")
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        raise MediaError("NO_VIDEO_STREAM", f"{path} has no video stream")
    stream = streams[0]
    if stream.codec_context is None:
        raise MediaError("UNREADABLE", f"{path} is encoded in a way that this FFmpeg cannot decode")
    if not stream.codec_context.width or not stream.codec_context.height:
        raise MediaError("UNREADABLE", f"{path} does not say how large its pictures are")
    stream.thread_type = "NONE"  # clips are decoded side by side; threads inside of one would wait for each other
    return stream


def _header_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """The stream's own, or the container's. Matroska counts from 0, and its header counts the sound as well, its tag does not."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    begin = float((stream.start_time or 0) * (stream.time_base or 0)) if "matroska" in container.format.name else 0.0
    if (tagged := _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))) is not None:
        hours, minutes, seconds = tagged.groups()
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds) - begin
    return container.duration / av.time_base - begin if container.duration else None


def _measured_duration(path: str) -> float:
    """Duration by reading all packets without decoding them, for files whose header has none."""
    first, last, count = None, 0, 0
    with open_video(path) as (container, stream):
        for packet in packets(container, stream):
            count += packet.size > 0
            if packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                last = max(last, packet.pts + (packet.duration or 0))
        if first is None:
            return count / frame_rate(stream)
        return float((last - first) * (stream.time_base or 0))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
