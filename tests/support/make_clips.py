"""Small real videos for tests. Each picture spells its own number in black and white bars, which survive any codec."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 12

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
"""Options of the muxer for a fragmented MP4."""


def picture_of(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    """`number` in binary as upright bars from left to right, (height, width, 3) uint8."""
    bits = np.array([number >> place & 1 for place in range(BITS)], np.uint8)
    row = bits[np.arange(width) * BITS // width] * 255
    return np.repeat(np.tile(row, (height, 1))[..., None], 3, axis=2)


def number_in(picture: np.ndarray) -> int:
    """The number that a picture (height, width, 3) spells, whatever its size."""
    columns = picture.mean((0, 2))
    centres = (np.arange(BITS) + 0.5) * len(columns) / BITS
    return sum(int(columns[int(centre)] > 127) << place for place, centre in enumerate(centres))


def numbers_in(pictures: Iterable[np.ndarray]) -> list[int]:
    """The numbers of pictures made by `picture_of`."""
    return [number_in(picture) for picture in pictures]


def corners(top_left: int, top_right: int, bottom_right: int, bottom_left: int, width: int, height: int) -> np.ndarray:
    """A picture of four grey quarters, named clockwise."""
    grey = np.empty((height, width), np.uint8)
    middle_y, middle_x = height // 2, width // 2
    grey[:middle_y, :middle_x], grey[:middle_y, middle_x:] = top_left, top_right
    grey[middle_y:, middle_x:], grey[middle_y:, :middle_x] = bottom_right, bottom_left
    return np.repeat(grey[..., None], 3, axis=2)


def corners_in(picture: np.ndarray) -> list[int]:
    """The grey of the four quarters, clockwise from the top left, to the nearest ten."""
    height, width = picture.shape[:2]
    spots = [(1, 1), (1, 3), (3, 3), (3, 1)]
    return [round(float(picture[height * y // 4, width * x // 4].mean()) / 10) * 10 for y, x in spots]


def write_clip(
    path: Path,
    pictures: int | Iterable[np.ndarray] = 30,
    *,
    codec: str = "libx264",
    fps: int = 10,
    gop: int = 12,
    b_frames: int = 0,
    stamps: Sequence[int] | None = None,
    start: float = 0.0,
    rotation: int | None = None,
    matrix: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    sound: float = 0.0,
) -> Path:
    """Write a clip. `pictures` is a number of numbered pictures, or the pictures themselves.

    `stamps` are the pictures' times in milliseconds (a variable frame rate), `start` seconds are added to all; `rotation`
    is degrees counter-clockwise for the player to turn, or `matrix` says (a, b, c, d) what it does; `aspect` is that of a pixel;
    `sound` seconds of silence are added.
    """
    if isinstance(pictures, int):
        pictures = map(picture_of, range(pictures))
    with av.open(str(path), "w", options=muxing or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=_fast(codec) | (options or {}))
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        base = Fraction(1, fps) if stamps is None else Fraction(1, 1000)
        stream.codec_context.time_base = base
        audio = container.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48000) if sound else None
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if matrix is not None:
            a, b, c, d = (each << 16 for each in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio = aspect
        for index, picture in enumerate(pictures):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = (index if stamps is None else stamps[index]) + round(start / base)
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio is not None:
            _silence(container, audio, sound)
    return path


def _fast(codec: str) -> dict[str, str]:
    if codec == "libx264":
        return {"preset": "ultrafast"}
    if codec in ("libvpx", "libvpx-vp9"):
        return {"deadline": "realtime", "cpu-used": "8"}
    if codec == "libx265":
        return {"preset": "ultrafast", "x265-params": "log-level=none"}
    return {}


def _silence(container: av.container.OutputContainer, audio: av.AudioStream, seconds: float) -> None:
    for index in range(round(seconds * 50)):
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 960), np.float32), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, index * 960, Fraction(1, 48000)
        container.mux(audio.encode(frame))
    container.mux(audio.encode())


def packets_of(path: Path) -> list[tuple[int, int]]:
    """(position, size) of each video packet in the file."""
    with av.open(str(path)) as container:
        return [(packet.pos, packet.size) for packet in container.demux(container.streams.video[0]) if packet.size]


def all_frames(path: Path) -> tuple[list[int], list[float]]:
    """Every frame's number and its time in seconds from the first, by plain decoding from the beginning."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(number_in(frame.to_ndarray(format="rgb24")), frame.pts) for frame in container.decode(stream)]
        return [number for number, _ in frames], [float((pts - frames[0][1]) * stream.time_base) for _, pts in frames]


def later(path: Path, seconds: float) -> Path:
    """Let the fragments of an MP4 begin later, as a segment of a live stream does."""
    content = bytearray(path.read_bytes())
    timescale = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)[0]
    place = content.find(b"tfdt")
    while place >= 0:
        assert content[place + 4] == 1
        begin = struct.unpack_from(">Q", content, place + 8)[0]
        struct.pack_into(">Q", content, place + 8, begin + round(seconds * timescale))
        place = content.find(b"tfdt", place + 1)
    path.write_bytes(content)
    return path
