"""Which of a file's video streams is its film.

Covers, thumbnails and layers that are made from other streams are none. Of the others those are taken first that have about as
many packets as the richest: a cover that is not marked as one has a single packet, a row of thumbnails has few. Of these the
largest picture wins (several qualities of one film), then the one that the file marks as its default, then the first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from juicecap.media.video.packets import raise_memory_error

_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent

_PACKETS = 500
"""Packets at the start of a file that tell its streams apart, of all of them together."""

_RICH = 4
"""A stream with less than one in so many of the richest one's packets is no film beside it, nor is one with a single packet."""


def films(container: InputContainer) -> list[VideoStream]:
    """The video streams that may be the film."""
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    return [stream for stream in streams if not stream.disposition & _NO_FILM] or streams


def counted(container: InputContainer, streams: Sequence[VideoStream]) -> Counter[int]:
    """How many packets of each stream, by its number, come at the start of a file."""
    found: Counter[int] = Counter()
    try:
        found.update(packet.stream_index for packet in islice(container.demux(*streams), _PACKETS) if packet.size)
    except av.error.FFmpegError as error:  # what came before counts
        raise_memory_error(error)
    return found


def best_of(streams: Sequence[VideoStream], packets: Counter[int]) -> VideoStream:
    """The stream that is the film, given how many packets of each there are at the start."""
    most = max(packets[stream.index] for stream in streams)
    least = max(min(most, 2), most / _RICH)
    rich = [stream for stream in streams if packets[stream.index] >= least]
    return max(rich, key=lambda stream: (_pixels(stream), bool(stream.disposition & Disposition.default), -stream.index))


def _pixels(stream: VideoStream) -> int:
    """Of a picture; less than none where nothing can decode it."""
    context = stream.codec_context
    return context.width * context.height if context is not None else -1
