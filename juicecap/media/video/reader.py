"""The frames of an open video with their times, in order, from wherever one asks.

Damage is counted and passed over: a packet that the decoder refuses, that is not whole or is encrypted, a place where the demuxer
stumbles, and what the file's index announces behind the point where the file ends. A frame whose errors the decoder conceals
counts as read.

A `sparing` reader knows which instant is `wanted`, and leaves out a frame that no other frame is made from (most B-frames) if
one that is shown later, but not after that instant, has been decoded before it. So what is on screen at the instant is the
same; damage in frames that are left out is not met. In damaged files this does not hold strictly.

Timestamps that start again in the middle of a file are followed (`follow_jumps`) by who reads it from its beginning to its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import av.error
from av import Packet, VideoFrame
from av.container import InputContainer
from av.index import IndexEntries
from av.video.stream import VideoStream

from juicecap.media.video.extent import keeps_no_time
from juicecap.media.video.mp4_boxes import Ranges, lies_in
from juicecap.media.video.packets import Clock, packets, raise_memory_error

FASTEST = 300.0
"""Frames per second; what a header says beyond that is not the rate of a film, but the tick of its clock."""

TimedFrame = tuple[float, VideoFrame]

FLUSH_TRIES = 8
"""How often the decoder is asked for what it still holds, if it fails at the end of a file."""

_LATEST = 2**63 - 1
"""The largest time that FFmpeg can represent."""

_SKIPPING = ("h264", "hevc")
"""Codecs whose packets bear one picture each, shown at the packet's time, and tell whether others are made from it."""

_DECODE: Final = "DEFAULT"
_LEAVE_OUT: Final = "NONREF"
"""The setting of FFmpeg for frames from which no other is made."""

_NO_REAL_INDEX = ("asf", "mpeg", "mpegts")
"""Formats that FFmpeg searches by trial; their index holds the places tried, key frames or not, and nothing between."""


class SeekFailed(Exception):
    """FFmpeg could not seek, and stands somewhere else than before: the file must be opened anew and read without seeks."""


def frame_rate(stream: VideoStream) -> float:
    """Frames per second, on average; 25 where nothing that makes sense is known."""
    if keeps_no_time(stream.container) and stream.codec_context.framerate:  # FFmpeg's word for the average is a guess
        return float(stream.codec_context.framerate)
    rates = (float(rate or 0) for rate in (stream.average_rate, stream.guessed_rate))
    return next((rate for rate in rates if 0 < rate <= FASTEST), 25.0)


class FrameReader:
    """Reads forward, one frame ahead: `upcoming` is the frame that comes next, None at the end.

    With `sparing`, of the frames up to the instant `wanted` only the last one is sure to come.

    Times are seconds from the first frame; where the beginning is damaged, from where the file says that it begins.
    `unreadable` counts damaged packets met so far, each once; `encrypted` those of them that were not damaged but encrypted.
    `can_seek` may be turned off.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, *, sparing: bool = False, encrypted: Ranges = ()) -> None:
        self._container, self._stream, self._secret = container, stream, encrypted
        self.can_seek = not keeps_no_time(container)
        self.encrypted = 0
        self._lost: dict[object, float] = {}
        self._clock = Clock(follows=False)
        self._index: IndexEntries | tuple[()] = () if container.format.name in _NO_REAL_INDEX else stream.index_entries
        self.base = float(stream.time_base or 0)
        self.fps = frame_rate(stream)
        self._damaged: set[object] = set()
        self.wanted = -math.inf
        self._skips = sparing and stream.codec_context.name in _SKIPPING and container.format.name != "avi"
        self._latest = -1 / self.fps
        self._earliest = -math.inf
        self._origin: float | None = None
        self._frames = self._decode(from_key_frame=False)
        self.upcoming = next(self._frames, None)

    @property
    def unreadable(self) -> int:
        """Damaged packets met so far."""
        return len(self._damaged)

    @property
    def lost(self) -> list[float]:
        """When the frames of the damaged packets met so far would have been shown, in order."""
        return sorted(stamp * self.base - self.origin for stamp in self._lost.values())

    def follow_jumps(self) -> None:
        """Let the times go on where timestamps start again. Nothing can be sought then."""
        self._clock.follows, self.can_seek, self._skips = True, False, False

    @property
    def origin(self) -> float:
        """The time in the file's own clock that is 0 here."""
        return self._origin or 0.0

    def advance(self) -> TimedFrame | None:
        """Take the upcoming frame."""
        taken = self.upcoming
        self.upcoming = next(self._frames, None)
        return taken

    def indexed_key_frame(self, time: float) -> float | None:
        """The last key frame not later than `time` that the file's index knows."""
        position = self._index.search_timestamp(self._stamp(time)) if self._index and self.base else -1
        return None if position < 0 else self._index[position].timestamp * self.base - self.origin

    def index_reaches(self, time: float) -> bool:
        """Whether the index knows the file up to `time`; some grow while the file is read."""
        return bool(self._index) and self._index[len(self._index) - 1].timestamp >= self._stamp(time)

    def seek(self, time: float) -> bool:
        """Go to a key frame at or before `time`, as the file knows it; `upcoming` tells where that led.

        False if there are no times; then nothing has changed.

        Raises:
            SeekFailed: it does not work in this file.
        """
        return self._go_to(time, from_key_frame=True)

    def rewind(self) -> bool:
        """Go to the beginning; False as with `seek`."""
        return self._go_to(-1.0, from_key_frame=False)

    def _go_to(self, time: float, *, from_key_frame: bool) -> bool:
        if not self.base:
            return False
        try:
            self._container.seek(self._stamp(time), stream=self._stream, backward=True)
        except av.error.FFmpegError as error:
            raise SeekFailed from error
        self._earliest = -math.inf
        self._frames = self._decode(from_key_frame=from_key_frame)
        self.upcoming = next(self._frames, None)
        return True

    def _stamp(self, time: float) -> int:
        return max(-_LATEST, min(round((time + self.origin) / self.base), _LATEST))

    def _decode(self, *, from_key_frame: bool) -> Iterator[TimedFrame]:
        """Frames from where the container stands.

        After a seek to an arbitrary packet (MPEG-TS) some decoders make grey frames up until a key frame comes.
        """
        waiting, last, decoded = from_key_frame, -math.inf, -math.inf
        for packet in packets(self._container, self._stream, self._note_stumble):
            if packet.size:
                last = max(stamp for stamp in (last, packet.pts, packet.dts) if stamp is not None)
                waiting = waiting and not packet.is_keyframe
            else:
                self._note_missing(last)
            if waiting:
                continue
            shown = self._shown(packet)
            self._stream.codec_context.skip_frame = _LEAVE_OUT if shown < decoded else _DECODE
            frames = self._frames_of(packet)
            if frames is not None and shown <= self.wanted and not packet.is_discard:
                decoded = max(decoded, shown)
            for frame in frames or ():
                yield self._time_of(frame), frame

    def _shown(self, packet: Packet[VideoStream]) -> float:
        """When a packet's frame is shown; infinity if that is not known before it is decoded."""
        if packet.pts is None and packet.size:
            self._skips = False  # the second half of an interlaced picture, of which the first must not be left out
        if not self._skips or packet.pts is None or self._origin is None:
            return math.inf
        return packet.pts * self.base - self._origin

    def _note_stumble(self) -> None:
        self._damaged.add(("stumble", len(self._damaged)))

    def _note_missing(self, last: float) -> None:
        """Count what the index has behind the last packet of a file that was cut off."""
        if last == -math.inf:
            return  # sought to behind the cut: what was there before it is not known here
        for position in range(len(self._index) - 1, -1, -1):
            if self._index[position].timestamp <= last:
                break
            self._damaged.add(("missing", position))

    def _frames_of(self, packet: Packet[VideoStream]) -> list[VideoFrame] | None:
        """The frames that come out when a packet goes in; None if the decoder refuses it."""
        if packet.size and (packet.has_sidedata("encryption_info") or (self._secret and lies_in(packet.pos or 0, self._secret))):
            self.encrypted += (packet.pos, packet.dts) not in self._damaged
            self._note_lost(packet)
            return None
        if packet.is_corrupt and not self._clock.follows:  # where files were joined, packets seem to be missing
            self._damaged.add((packet.pos, packet.dts))
        for _ in range(1 if packet.size else FLUSH_TRIES):
            try:
                return packet.decode()
            except av.error.EOFError:
                break
            except av.error.FFmpegError as error:
                raise_memory_error(error)
                self._note_lost(packet)
        return None

    def _note_lost(self, packet: Packet[VideoStream]) -> None:
        self._damaged.add((packet.pos, packet.dts))
        if (stamp := packet.dts if packet.pts is None else packet.pts) is not None:
            self._lost[packet.pos, packet.dts] = stamp

    def _time_of(self, frame: VideoFrame) -> float:
        """The frame's time; one without a timestamp, or with one that goes back, follows the frame before it.

        AVI stores decoding times only; pts are guesses there.
        """
        stamp = frame.dts if frame.pts is None or self._container.format.name == "avi" else frame.pts
        if stamp is None:
            self._latest += 1 / self.fps
            return self._latest
        if self._origin is None:
            start = self._stream.start_time
            self._origin = (start if self._damaged and start is not None else stamp) * self.base
        time = self._clock.time(stamp * self.base - self._origin, 1 / self.fps)
        self._latest = self._earliest = time if time >= self._earliest else self._latest + 1 / self.fps
        return self._latest
