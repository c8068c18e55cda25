"""Packets of one stream of an open file, past the places where demuxing fails."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import cast

import av.error
from av import Packet
from av.container import InputContainer
from av.video.stream import VideoStream

MAX_STUMBLES = 64
"""Errors without a packet between them after which the rest of a file counts as lost; some would go on for ever."""

MOST_BACK, MOST_FORTH = 0.1, 10.0
"""Seconds by which a clock may go back, or leave out, before it is taken to have jumped."""


def packets(
    container: InputContainer, stream: VideoStream, stumbled: Callable[[], None] = lambda: None
) -> Iterator[Packet[VideoStream]]:
    """Packets from where the container stands, and at last the empty one that flushes the decoder.

    `stumbled` is called for each error of the demuxer, after which it is taken up again.
    """
    stumbles = 0
    while stumbles < MAX_STUMBLES:
        try:
            for packet in container.demux(stream):
                stumbles = 0
                yield packet
            return
        except av.error.FFmpegError as error:
            raise_memory_error(error)
            stumbles += 1
            stumbled()
        except IndexError:  # PyAV, at the end of a file in which a stream appeared that its header does not have
            break
    flush = cast("Packet[VideoStream]", Packet())
    flush.stream = stream
    yield flush


def raise_memory_error(error: av.error.FFmpegError) -> None:
    """Do nothing unless FFmpeg failed for want of memory, which is neither damage nor the end of a file.

    Raises:
        MemoryError: it did.
    """
    if error.errno == errno.ENOMEM:
        raise MemoryError(str(error)) from error


class Clock:
    """A file's clock that goes on where it starts again, or jumps, as it does where transport streams were joined.

    As in FFmpeg's program: back by more than a tenth of a second, or forth by more than ten, is a jump.
    """

    def __init__(self, *, follows: bool) -> None:
        self.follows = follows
        self.jumped = False
        self._shift = 0.0
        self._last: float | None = None
        self._next = 0.0

    def time(self, reading: float, lasts: float) -> float:
        """The time of what begins at a reading, and `lasts` so many seconds; in order."""
        time = reading + self._shift
        if self.follows and self._last is not None and not self._last - MOST_BACK <= time <= self._next + MOST_FORTH:
            self._shift += self._next - time
            self.jumped, time = True, self._next
        self._last, self._next = time, time + lasts
        return time
