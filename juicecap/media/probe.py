"""What a video file says about itself: its header, and its first frame, which alone knows how the picture is turned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from juicecap.errors import MediaError
from juicecap.media.files import check_file


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

    @property
    def last(self) -> float:
        """The time of the last frame, in seconds from the first."""
        return max(0.0, self.duration - 1 / self.fps)


def probe(path: str) -> VideoInfo:
    """Read a video's header.

    Raises:
        MediaError: `FILE_NOT_FOUND`, `NOT_A_FILE`, `NO_PERMISSION`, `UNREADABLE`, `NO_VIDEO_STREAM`.
    """
    with open_video(path) as (container, stream):
        return info_of(path, container, stream)


@contextmanager
def open_video(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its first video stream; FFmpeg's errors become `MediaError`s.

    Only plain files are opened: FFmpeg would take a name such as `http://…` or `concat:…` for a protocol.
    """
    check_file(path)
    try:
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError("UNREADABLE", f"{path} is not a video that can be read ({_reason(error)})") from error
    with container:
        if not container.streams.video:
            raise MediaError("NO_VIDEO_STREAM", f"{path} has no video stream")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise MediaError("UNREADABLE", f"{path} is encoded in a way that this FFmpeg cannot decode")
        stream.thread_type = "NONE"  # clips are decoded side by side; threads inside of one would wait for each other
        yield container, stream


def info_of(path: str, container: InputContainer, stream: VideoStream) -> VideoInfo:
    """The facts about an open video."""
    context = stream.codec_context
    if not context.width or not context.height:
        raise MediaError("UNREADABLE", f"{path} does not say how large its pictures are")
    rotation = _rotation(container, stream)
    width, height = context.width, context.height
    if rotation in (90, 270):
        width, height = height, width
    duration = _header_duration(container, stream)
    if duration is None:
        duration = _scan(container, stream)
    fps = float(stream.average_rate or stream.guessed_rate or 0) or 25.0
    return VideoInfo(
        duration=max(duration, 1 / fps),
        fps=fps,
        width=width,
        height=height,
        frames=stream.frames or None,
        codec=context.name,
        rotation=rotation,
    )


def _header_duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration:
        begin = float((stream.start_time or 0) * (stream.time_base or 0)) if stream.start_time else 0.0
        return max(0.0, container.duration / av.time_base - max(0.0, begin))
    return None


def _scan(container: InputContainer, stream: VideoStream) -> float:
    """Duration by reading all packets without decoding them, for files whose header has none."""
    first, last = None, 0.0
    try:
        for packet in container.demux(stream):
            if packet.pts is not None and packet.time_base:
                time = float(packet.pts * packet.time_base)
                first = time if first is None else min(first, time)
                last = max(last, time + float((packet.duration or 0) * packet.time_base))
    except av.error.FFmpegError:
        pass  # what could be read counts; decoding will tell what is missing
    container.seek(0)
    return max(0.0, last - (first or 0.0))


def _rotation(container: InputContainer, stream: VideoStream) -> int:
    """Clockwise degrees, a multiple of 90, as the first frame that can be decoded says them; the stream itself does not."""
    try:
        for packet in container.demux(stream):
            for frame in packet.decode():
                return round(-frame.rotation / 90) * 90 % 360
    except av.error.FFmpegError:
        return 0  # a damaged beginning: decoding goes on behind it and reports
    finally:
        container.seek(0)
    return 0


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
