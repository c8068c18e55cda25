"""How many frames a film shows in a second, on average.

Headers tell it of MP4, which count their frames, and of raw streams, which have no times. Others name the rate at which the film
was to be made, or the finest one that its times fit (1,000 or 60,000), which says nothing where times are not even. They are
believed if the packets at the start of the file come at that rate; else all packets are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from av import Packet
from av.container import InputContainer
from av.video.stream import VideoStream

from juicecap.media.video.extent import keeps_no_time

_AT_START, _REORDERED = 80, 16
"""Packets that are looked at, and how many of them may be shown later than packets that come behind them."""

_OFF = 0.03
"""Share by which the packets at the start may come faster or slower than at the rate of the header: times are rounded."""


def rate_of(
    container: InputContainer,
    stream: VideoStream,
    *,
    header: float,
    duration: float,
    read: Callable[[], Iterator[Packet[VideoStream]]],
) -> float:
    """Frames per second of an open film that lasts `duration` seconds, of which the header says `header`; above 0.

    `read` gives the packets of the file from its start on, opened anew.
    """
    average = float(stream.average_rate or 0)
    if keeps_no_time(container):
        return header
    if container.format.name.startswith("mov,") and average > 0:
        return average
    if container.format.name == "gif" and stream.frames > 0:
        return stream.frames / duration
    start = _rate_at_start(read(), float(stream.time_base or 0))
    if start is None or abs(start - header) <= _OFF * header:
        return header
    count = sum(packet.size > 0 for packet in read())
    return count / duration if count > 1 else header


def _rate_at_start(packets: Iterator[Packet[VideoStream]], base: float) -> float | None:
    """Frames per second at the start of a file; None if it has too few frames with times to tell."""
    known = [packet.pts for packet in islice(packets, _AT_START) if packet.size and packet.pts is not None]
    stamps = sorted(known)[: len(known) if len(known) < _AT_START else -_REORDERED]
    seconds = (stamps[-1] - stamps[0]) * base if stamps else 0.0
    return (len(stamps) - 1) / seconds if seconds > 0 else None
