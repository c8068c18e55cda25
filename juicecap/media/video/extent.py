"""How long a film is: from its first frame to the end of its last one, by what the file shows and not only by what it says.

A header is believed where nothing speaks against it. It is not in files that are known to tell something else:

- the index of an MP4 shows less than the header says, or what it shows lies behind the end of the file or is encrypted;
- fragmented MP4 count from a clock that began before the file did;
- FLV, transport and program streams do so as well, or were joined from files with clocks of their own;
- a Matroska file that was cut off, or never finished, has the header of one that was;
- an AVI without an index guesses, and raw streams have neither header nor clock.

Of these all packets are read, not decoded; of an MP4 the last ones are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import av
from av import Packet
from av.container import Container, InputContainer
from av.video.stream import VideoStream

from juicecap.media.video.cut_off import is_cut_off, segment_end
from juicecap.media.video.mp4_boxes import Ranges, boxes, encrypted_ranges, lies_in
from juicecap.media.video.packets import Clock

_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")

_NO_TIMES, _JUMPS = 0x80, 0x200
"""FFmpeg's AVFMT_NOTIMESTAMPS and AVFMT_TS_DISCONT."""

_FROM_ZERO = ("asf", "matroska,webm", "nut")
"""Formats whose durations count from their clock's 0 and not from the first frame."""

_OUTERMOST = (b"mdat", b"moof", b"moov")
"""Boxes of an MP4 whose end must be in the file; what follows the last one may be no box at all."""

SLACK = 1.0
"""Seconds by which a header may say more than the index shows: a last frame that stays on screen."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the bytes of a file say, before anything of it is decoded."""

    size: int
    cut_off: bool = False
    """Whether it is shorter than it says."""
    unfinished: bool = False
    """Whether it is a Matroska file whose header may be another one's."""
    encrypted: Ranges = ()
    last_fragment: int = 0
    """Where the last fragment of an MP4 begins."""

    def has(self, position: int, size: int) -> bool:
        """Whether a packet lies in the file, and is not encrypted."""
        return position + size <= self.size and not lies_in(position, self.encrypted)


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How long a film is, in seconds."""

    seconds: float
    """What is there to be decoded."""
    promised: float
    """What the file's index, or its packets, say that there would be."""
    frames: int | None = None
    jumps: bool = False
    """Whether its clock starts again in the middle, so that no time can be sought."""


@dataclass(kw_only=True)
class Measure:
    """What reading packets gives: their number, the clock's first and last reading in seconds."""

    count: int = 0
    begin: float | None = None
    end: float = 0.0
    jumps: bool = False


def evidence_of(fd: int, container: InputContainer, size: int) -> Evidence:
    """What the bytes of an open file say."""
    name = container.format.name
    if name.startswith("mov,"):
        outermost = list(boxes(fd, 0, size))
        cut = any(box.end > size and box.kind in _OUTERMOST for box in outermost)
        last = next((box.start for box in reversed(outermost) if box.kind == b"moof"), 0)
        return Evidence(size=size, cut_off=cut, last_fragment=last, encrypted=encrypted_ranges(fd, outermost))
    cut = is_cut_off(fd, name)
    return Evidence(size=size, cut_off=cut, unfinished=name.startswith("matroska") and (cut or segment_end(fd) is None))


def keeps_no_time(container: Container) -> bool:
    """Whether the file is a raw stream, whose frames follow each other at a constant rate, and in which nothing can be sought."""
    return bool(container.format.flags & _NO_TIMES)


def must_be_measured(container: InputContainer, stream: VideoStream, evidence: Evidence) -> bool:
    """Whether a header, if there is one, says nothing."""
    if container.format.name == "avi" and len(stream.index_entries) < stream.frames:
        return True
    return bool(container.format.flags & (_NO_TIMES | _JUMPS)) or container.format.name == "flv" or evidence.unfinished


def extent_of(
    container: InputContainer,
    stream: VideoStream,
    evidence: Evidence,
    *,
    origin: float,
    fps: float,
    measure: Callable[[float | None], Measure],
) -> Extent:
    """How long an open film is.

    `origin` is the time of its first frame by its own clock, in seconds; `measure` reads packets of the file, opened anew, to
    its end: all of them, or those from a time by its clock on.
    """
    header = None if must_be_measured(container, stream, evidence) else header_duration(container, stream)
    if header is None:
        found = measure(None)
        seconds = found.count / fps if found.begin is None else found.end - found.begin
        return Extent(seconds=seconds, promised=seconds, jumps=found.jumps)
    if container.format.name.startswith("mov,") and len(stream.index_entries) and stream.time_base:
        return _by_index(stream, evidence, header, origin=origin, measure=measure)
    return Extent(seconds=header, promised=header, frames=max(0, stream.frames) or None)


def header_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """The stream's own, or the container's. Some count from 0; Matroska's header counts the sound as well, its tag does not."""
    begin = float((stream.start_time or 0) * (stream.time_base or 0)) if container.format.name in _FROM_ZERO else 0.0
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base) - begin
    if (tagged := _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))) is not None:
        hours, minutes, seconds = tagged.groups()
        return 3600 * float(hours) + 60 * float(minutes) + float(seconds) - begin  # a float of any number of digits
    return container.duration / av.time_base - begin if container.duration else None


def measured(packets: Iterable[Packet[VideoStream]], stream: VideoStream, *, step: float) -> Measure:
    """Read packets without decoding them. `step` is how long a picture lasts that does not say so."""
    found, base = Measure(), float(stream.time_base or 0)
    clock = Clock(follows=bool(stream.container.format.flags & _JUMPS))
    for packet in packets:
        found.count += packet.size > 0
        if packet.pts is None or not packet.size:
            continue
        lasts = packet.duration * base if packet.duration else step
        stamp = (packet.pts if packet.dts is None else packet.dts) * base
        time = packet.pts * base + clock.time(stamp, lasts) - stamp
        found.begin = time if found.begin is None else min(found.begin, time)
        found.end = max(found.end, time + lasts)
    found.jumps = clock.jumped
    return found


def times_of(packets: Iterable[Packet[VideoStream]], stream: VideoStream, *, step: float) -> tuple[list[float], int]:
    """The times of packets by the file's own clock, which is followed where it starts again, and how many packets there are."""
    base, count = float(stream.time_base or 0), 0
    times: list[float] = []
    clock = Clock(follows=bool(stream.container.format.flags & _JUMPS))
    for packet in packets:
        count += 1
        stamp = packet.dts if packet.pts is None or stream.container.format.name == "avi" else packet.pts
        if packet.pts is None and packet.dts is not None and times:  # the second half of a picture
            continue
        if stamp is not None:
            decoded = (stamp if packet.dts is None else packet.dts) * base
            times.append(stamp * base + clock.time(decoded, packet.duration * base if packet.duration else step) - decoded)
    return times, count


def _by_index(
    stream: VideoStream, evidence: Evidence, header: float, *, origin: float, measure: Callable[[float | None], Measure]
) -> Extent:
    """The extent of an MP4, whose index is complete but for one with a table of its fragments."""
    index, base = stream.index_entries, float(stream.time_base or 0)
    first, last, count = index[0].timestamp, index[-1].timestamp, len(index)
    in_fragments = stream.frames < count
    step = (last - first) * base / max(1, count - 1)
    promised = header - (first * base if in_fragments else 0.0)
    if promised > (last - first) * base + max(SLACK, 2 * step) or index[-1].pos < evidence.last_fragment:
        found = measure(header)
        found = measure(None) if found.begin is None else found
        promised = found.end - origin
    if not evidence.encrypted and index[-1].pos + index[-1].size <= evidence.size and not evidence.cut_off:
        return Extent(seconds=promised, promised=promised, frames=None if in_fragments else stream.frames)
    here = [number for number, entry in enumerate(index) if evidence.has(entry.pos, entry.size)]
    if len(here) == count or not here:
        return Extent(seconds=promised, promised=promised, frames=None if in_fragments else stream.frames)
    behind = index[here[-1] + 1].timestamp if here[-1] + 1 < count else None
    seconds = promised if behind is None else min(promised, (behind - first) * base)
    return Extent(seconds=seconds, promised=promised, frames=len(here))
