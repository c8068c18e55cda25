"""Sampled frames of a video, scaled while they are decoded.

Only what is needed is decoded and only what is asked for is kept: packets are read in order, the file is sought where a
key frame lies between the last frame taken and the next instant wanted, and each frame is scaled by libswscale to its final
size before it leaves this module. So memory depends on the number of frames taken, never on the length of the video.

A damaged packet is counted and passed over: the frames around it are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av.error
import numpy as np
from av import VideoFrame
from av.container import InputContainer
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from juicecap.errors import MediaError
from juicecap.media.probe import VideoInfo, info_of, open_video
from juicecap.media.sampling import TIME_TOLERANCE, FrameSampling, target_times

SizeRule = Callable[[int, int, int], tuple[int, int]]
"""(frames, width, height) of the upright video to the (width, height) that is wanted."""

REORDER_SLACK = 16
"""Frames by which a key frame in the index (sorted by decoding time) may be shown later than the index says."""

BLIND_SEEK_GAP = 10.0
"""Seconds to the next instant from which on a file without an index is sought instead of decoded through."""


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Frames in order: `pixels` (n, height, width, 3) uint8 upright RGB, `times` seconds from the first frame of the video.

    `unreadable` counts damaged packets that were passed over on the way.
    """

    pixels: np.ndarray
    times: tuple[float, ...]
    info: VideoInfo
    unreadable: int


def decode_frames(path: str, sampling: FrameSampling, size: SizeRule, *, max_pixels: int = 64_000_000) -> Frames:
    """Decode the frames of `path` that `sampling` asks for, scaled to `size`.

    A frame that is on screen at several of the sampled instants is returned once.

    Raises:
        MediaError: as `probe`; `TOO_LARGE` for frames of more than `max_pixels`; `UNDECODABLE` if not one frame could be
            read.
    """
    with open_video(path) as (container, stream):
        info = info_of(path, container, stream)
        if info.width * info.height > max_pixels:
            raise MediaError("TOO_LARGE", f"{path} has frames of {info.width}x{info.height}, more than {max_pixels} pixels")
        times = target_times(sampling, last=info.last, duration=info.duration)
        walker = _Walker(container, stream, info)
        taken = list(_distinct(walker, times, _scaler(info, size(len(times), info.width, info.height))))
        if not taken:
            raise MediaError("UNDECODABLE", f"{path}: not one frame can be decoded ({walker.unreadable} damaged packets)")
        pixels = np.stack([picture for _, picture in taken])
        return Frames(pixels=pixels, times=tuple(time for time, _ in taken), info=info, unreadable=walker.unreadable)


def _distinct(
    walker: _Walker, times: list[float], scale: Callable[[VideoFrame], np.ndarray]
) -> Iterator[tuple[float, np.ndarray]]:
    before = None
    for time in times:
        shown = walker.frame_at(time)
        if shown is not None and shown[0] != before:
            before = shown[0]
            yield before, scale(shown[1])


def _scaler(info: VideoInfo, size: tuple[int, int]) -> Callable[[VideoFrame], np.ndarray]:
    """Scale first, then turn upright: the smaller picture is the cheaper one to turn."""
    width, height = size if info.rotation in (0, 180) else size[::-1]
    reformatter = VideoReformatter()

    def scale(frame: VideoFrame) -> np.ndarray:
        small = reformatter.reformat(frame, width=width, height=height, format="rgb24", interpolation=Interpolation.BICUBIC)
        return np.rot90(small.to_ndarray(), -info.rotation // 90)

    return scale


class _Walker:
    """Walks forward through a video: `frame_at` takes instants that do not decrease."""

    def __init__(self, container: InputContainer, stream: VideoStream, info: VideoInfo) -> None:
        self.unreadable = 0
        self._container, self._stream, self._fps = container, stream, info.fps
        self._base = float(stream.time_base or 0)
        self._origin = None if stream.start_time is None else stream.start_time * self._base
        self._frames = self._decode()
        self._current: tuple[float, VideoFrame] | None = None
        self._upcoming = next(self._frames, None)

    def frame_at(self, time: float) -> tuple[float, VideoFrame] | None:
        """The frame on screen at `time` with its own time; None if nothing can be decoded."""
        self._skip_towards(time)
        while self._upcoming and (self._current is None or self._upcoming[0] <= time + TIME_TOLERANCE):
            self._current, self._upcoming = self._upcoming, next(self._frames, None)
        return self._current

    def _decode(self) -> Iterator[tuple[float, VideoFrame]]:
        """(time, frame) in order of time from where the container stands; damaged packets are counted."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self.unreadable += 1
                if packet is None or packet.dts is None and packet.pts is None:
                    return
                continue
            for frame in frames:
                yield self._time_of(frame), frame

    def _time_of(self, frame: VideoFrame) -> float:
        """Seconds from the first frame; a frame without a timestamp follows the one before it."""
        if frame.pts is None:
            return (self._current[0] if self._current else -1 / self._fps) + 1 / self._fps
        time = frame.pts * self._base
        if self._origin is None:
            self._origin = time
        return time - self._origin

    def _skip_towards(self, time: float) -> None:
        """Seek if a key frame lies between what is decoded next and `time`."""
        if self._upcoming is None or self._origin is None or not self._base:
            return
        target = self._key_frame_before(time - REORDER_SLACK / self._fps)
        if target is None or target <= self._upcoming[0]:
            return
        behind = self._upcoming
        self._container.seek(int((target + self._origin) / self._base), stream=self._stream, backward=True)
        self._frames = self._decode()
        landed = next(self._frames, None)
        if landed is None or landed[0] > time + TIME_TOLERANCE:  # the index was wrong: walk there from the beginning
            self._container.seek(0)
            self._frames = (entry for entry in self._decode() if entry[0] >= behind[0])
            landed = next(self._frames, None)
        self._upcoming = landed

    def _key_frame_before(self, time: float) -> float | None:
        """The time of the last key frame not later than `time`, as far as the file's index knows it."""
        entries = self._stream.index_entries
        position = entries.search_timestamp(int((time + (self._origin or 0.0)) / self._base)) if len(entries) else -1
        if position >= 0:
            return float(entries[position].timestamp * self._base) - (self._origin or 0.0)
        upcoming = self._upcoming[0] if self._upcoming else 0.0
        return time if time - upcoming > BLIND_SEEK_GAP else None
