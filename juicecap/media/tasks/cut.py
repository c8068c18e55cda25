"""Cuts a part of a film into a file of its own: an MP4 with the times of the frames as they were, and the sound.

The film is encoded anew, unless a copy is asked for and the part begins and ends with a key frame. Equal films and parts give
equal bytes. Sound that MP4 cannot hold becomes AAC; it is cut between its own packets, some hundredths of a second long. Not
kept: other streams, chapters and metadata.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av import AudioResampler, Packet, VideoFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from juicecap.errors import MediaError
from juicecap.fragment import Span
from juicecap.media.sampling import TIME_TOLERANCE
from juicecap.media.tasks.medium import Medium
from juicecap.media.video.packets import packets
from juicecap.media.video.probe import VideoInfo, open_video
from juicecap.media.video.reader import FrameReader, TimedFrame
from juicecap.media.video.seek_planner import SeekPlanner
from juicecap.media.video.shown.scaler import Scaler
from juicecap.sample import display_path

_ENCODER = {"crf": "18", "preset": "veryfast", "x264-params": "mbtree=0:bframes=0:threads=1"}
"""The macroblock tree differs now and then; without B-frames frames are stored in the order in which they are shown."""

_PIXELS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")
_ODD_SIZE = "yuv444p"
"""Formats that stay as they are, and the one for sides that cannot be halved."""

_FINEST = 90_000
"""Ticks per second, where the film's own clock has none that are useful."""

_SOUND = ("aac", "mp3", "ac3", "eac3", "alac", "flac", "opus")
"""Codecs of sound that stay as they are."""

_Timed = tuple[float, int, "Packet[Any]"]
"""A packet with its time, and the number of its stream."""


def cut(medium: Medium, *, target: str, copy: bool = False) -> dict[str, Any]:
    """Write the medium's part into `target`; returns its seconds, bytes, and whether it was copied.

    Raises:
        MediaError: as `video_info`; `UNDECODABLE`: it has not one frame.
    """
    info = medium.info()
    whole = av.open(target, "w", format="mp4", options={"fflags": "+bitexact"})
    with ExitStack() as opened, whole as out:
        container, film = opened.enter_context(open_video(medium.path, medium.rules))
        reader = FrameReader(container, film)
        copied = copy and _may_be_copied(medium, info, reader.origin) and film.codec_context.name in out.supported_codecs
        if copied:
            pictures = _copied(container, film, out, medium.span, reader.origin)
        else:
            if info.jumps:
                reader.follow_jumps()
            pictures = _encoded(reader, film, out, medium.span, info)
        beside, _ = opened.enter_context(open_video(medium.path, medium.rules))
        sound = _sound(beside, out, medium.span, reader.origin)
        count = 0
        for _, _, packet in heapq.merge(pictures, sound, key=lambda timed: timed[:2]):
            count += packet.stream.type == "video"
            out.mux_one(packet)
    if not count:
        raise MediaError("UNDECODABLE", f"{display_path(medium.path)}: the part #{medium.span} has not one frame")
    return {"seconds": info.duration, "bytes": Path(target).stat().st_size, "copied": copied}


def _may_be_copied(medium: Medium, info: VideoInfo, origin: float) -> bool:
    """Whether the part begins and ends with key frames, and is stored together."""
    if info.rotation or info.mirrored or info.jumps:
        return False
    start, end, begun = medium.span.start, medium.span.end, False
    with open_video(medium.path, medium.rules) as (container, film):
        base = _base(film)
        container.seek(round((origin + start) / base), stream=film)
        for packet in packets(container, film):
            if packet.pts is None:
                return begun and not packet.size
            time = float(packet.pts * base) - origin
            begun = begun or (packet.is_keyframe and abs(time - start) <= TIME_TOLERANCE)
            if begun and end is None:
                return True
            if begun and end is not None and packet.is_keyframe and abs(time - end) <= TIME_TOLERANCE:
                following = next(packets(container, film), None)
                return following is None or following.pts is None or following.pts > packet.pts
            if packet.is_keyframe and time > (end if begun and end is not None else start) + TIME_TOLERANCE:
                return False
    return False


def _base(stream: VideoStream | AudioStream) -> Fraction:
    return stream.time_base or Fraction(1, _FINEST)


def _copied(container: InputContainer, film: VideoStream, out: OutputContainer, span: Span, origin: float) -> Iterator[_Timed]:
    stream, base = out.add_stream_from_template(film), _base(film)
    shift = round((origin + span.start) / base)
    container.seek(shift, stream=film)
    for packet in packets(container, film):
        if packet.pts is None or packet.dts is None:
            continue
        time = float((packet.pts - shift) * base)
        if span.end is not None and packet.is_keyframe and time >= span.end - span.start - TIME_TOLERANCE:
            return
        if time < -TIME_TOLERANCE:
            continue
        packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
        yield float(packet.dts * base), 0, packet


def _encoded(reader: FrameReader, film: VideoStream, out: OutputContainer, span: Span, info: VideoInfo) -> Iterator[_Timed]:
    base = _base(film) if _base(film).denominator <= _FINEST else Fraction(1, _FINEST)
    ticks = round(info.duration / base)
    stream: VideoStream | None = None
    for time, frame in _shown(reader, span, info):
        if stream is None:
            stream = out.add_stream("libx264", rate=Fraction(info.fps).limit_denominator(1001), options=_ENCODER)
            stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
            stream.time_base = stream.codec_context.time_base = base
            stream.thread_count = 1
        frame.pts, frame.time_base, frame.pict_type = round(time / base), base, 0
        yield from _timed(stream.encode(frame), ticks)
    if stream:
        yield from _timed(stream.encode(None), ticks)


def _timed(encoded: Iterable[Packet[VideoStream]], ticks: int) -> Iterator[_Timed]:
    """Packets, each of which lasts to the end of the part unless another one follows."""
    for packet in encoded:
        packet.duration = max(1, ticks - (packet.pts or 0))
        yield _time(packet), 0, packet


def _time(packet: Packet[Any]) -> float:
    return float((packet.pts or 0) * packet.time_base)


def _shown(reader: FrameReader, span: Span, info: VideoInfo) -> Iterator[TimedFrame]:
    """The frames of the part as they are to be encoded: upright, of one size and format, with their times in the part."""
    following = SeekPlanner(reader).frame_at(span.start) if span.start else reader.advance()
    scaler = Scaler(info.orientation, (info.width, info.height))
    pixels = _pixels(following[1], info) if following else ""
    while following and following[0] - span.start < info.duration - TIME_TOLERANCE:
        time, frame = following
        yield max(0.0, time - span.start), _upright(frame, scaler, info).reformat(format=pixels)
        following = reader.advance()


def _pixels(frame: VideoFrame, info: VideoInfo) -> str:
    """The format in which frames are encoded."""
    if info.width % 2 or info.height % 2:
        return _ODD_SIZE
    return frame.format.name if frame.format.name in _PIXELS else _PIXELS[0]


def _upright(frame: VideoFrame, scaler: Scaler, info: VideoInfo) -> VideoFrame:
    if (frame.width, frame.height) == (info.width, info.height) and not (info.rotation or info.mirrored):
        return frame
    return VideoFrame.from_ndarray(scaler.scaled(frame), format="rgb24")


def _sound(container: InputContainer, out: OutputContainer, span: Span, origin: float) -> Iterator[_Timed]:
    """The packets of the first sound, if there is any."""
    if not container.streams.audio:
        return iter(())
    source = container.streams.audio[0]
    container.seek(round((origin + span.start) / _base(source)), stream=source)
    if source.codec_context.name in _SOUND:
        return _copied_sound(container, source, out.add_stream_from_template(source), span, origin)
    return _encoded_sound(container, source, out.add_stream("aac", rate=source.rate), span, origin)


def _copied_sound(
    container: InputContainer, source: AudioStream, stream: AudioStream, span: Span, origin: float
) -> Iterator[_Timed]:
    base = _base(source)
    shift = round((origin + span.start) / base)
    for packet in container.demux(source):
        if packet.pts is None or packet.pts < shift:
            continue
        time = float((packet.pts - shift) * base)
        if span.end is not None and time >= span.end - span.start:
            return
        packet.pts = packet.dts = packet.pts - shift
        packet.stream = stream
        yield time, 1, packet


def _encoded_sound(
    container: InputContainer, source: AudioStream, stream: AudioStream, span: Span, origin: float
) -> Iterator[_Timed]:
    resampler = AudioResampler(format="fltp", layout=stream.codec_context.layout, rate=stream.codec_context.sample_rate)
    for frame in container.decode(source):
        time = (frame.time or 0.0) - origin - span.start
        if time < 0:
            continue
        if span.end is not None and time >= span.end - span.start:
            break
        frame.pts = round(time / (frame.time_base or _base(source)))
        for each in resampler.resample(frame):
            yield from ((_time(packet), 1, packet) for packet in stream.encode(each))
    yield from ((_time(packet), 1, packet) for packet in stream.encode(None))
