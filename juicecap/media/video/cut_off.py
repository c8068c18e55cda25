"""Whether a file ends before it should: its container says how long it is, and there are fewer bytes.

Nothing is decoded for that, and few bytes are read. Not covered: raw streams and MPEG program streams, which do not say where
they end, and transport streams that were cut between two of their packets.
"""

from __future__ import annotations

import os

_SEGMENT = b"\x18\x53\x80\x67"
_HEAD = 4096
"""Bytes in which a Matroska file's segment begins."""

_TS_PACKETS = (188, 192, 204)
"""Bytes of a packet of a transport stream: plain, with a time before it (M2TS), or with a check sum."""

_RIFF_HEAD = 12
"""Bytes before the first list of an AVI."""

_TAG_HEAD = 11
"""Bytes of the header of a tag in FLV files."""


def is_cut_off(fd: int, container: str) -> bool:
    """Whether the open file, which FFmpeg calls a `container`, is shorter than it says itself. Of MP4 see `mp4_boxes`."""
    size = os.fstat(fd).st_size
    if container.startswith("matroska"):
        end = segment_end(fd)
        return end is not None and end > size
    if container == "avi":
        return _movie_end(fd, size) > size
    if container == "flv":
        return _last_tag_is_broken(fd, size)
    return container == "mpegts" and all(size % packet for packet in _TS_PACKETS)


def segment_end(fd: int) -> int | None:
    """Where a Matroska file says that it ends; None if it was written without knowing that (a live recording)."""
    head = os.pread(fd, _HEAD, 0)
    place = head.find(_SEGMENT)
    if place < 0 or place + 5 > len(head):
        return None
    first = head[place + 4]
    length = 9 - first.bit_length()  # bytes of the number, by the zeros that it begins with
    number = int.from_bytes(head[place + 4 : place + 4 + length], "big") & (1 << 7 * length) - 1
    return None if not first or number == (1 << 7 * length) - 1 else place + 4 + length + number


def _movie_end(fd: int, size: int) -> int:
    """Where the pictures of an AVI end; its index behind them may be missing."""
    place = _RIFF_HEAD
    while place + 12 <= size:
        head = os.pread(fd, 12, place)
        end = place + 8 + int.from_bytes(head[4:8], "little")
        if head[:4] == b"LIST" and head[8:] == b"movi":
            return end
        place = end + end % 2
    return size


def _last_tag_is_broken(fd: int, size: int) -> bool:
    """In FLV, the length of a tag stands behind it once more."""
    length = int.from_bytes(os.pread(fd, 4, size - 4), "big") if size > _TAG_HEAD + 4 else 0
    start = size - 4 - length
    return not _TAG_HEAD <= length <= size or int.from_bytes(os.pread(fd, 3, start + 1), "big") + _TAG_HEAD != length
