"""Boxes of MP4 files: which parts of a file hold encrypted samples, and whether its last box is whole.

FFmpeg tells that a sample is encrypted where it finds the data for deciphering it. In files that begin clear it finds none, and
the decoder would make grey pictures of what is encrypted.

Not covered: single samples of a fragment that are clear (sample groups), and encryption of files without fragments that have a
clear sample description as well. There FFmpeg's word counts.
"""

from __future__ import annotations

import math
import os
import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST_BOXES = 1_000_000
"""Boxes of a file that are looked at; one of twelve hours in fragments of a second has a tenth of that."""

_HEAD = 8
"""Bytes of a size and a kind."""

Ranges = tuple[tuple[int, int], ...]
"""Parts of a file, from a byte up to another."""

_ENCRYPTED = frozenset((b"encv", b"drmi"))
"""Kinds of sample descriptions of encrypted video."""

_BASE_OFFSET, _DESCRIPTION = 0x1, 0x2
"""Flags of a fragment's header: which of its fields are there."""


@dataclass(frozen=True)
class Box:
    """A box: `body` is where its content begins, `end` where it ends by its header, be there so many bytes or not."""

    kind: bytes
    start: int
    body: int
    end: int


def boxes(fd: int, start: int, end: int) -> Iterator[Box]:
    """The boxes that follow each other from `start` on; the last one may end behind `end`."""
    for _ in range(MOST_BOXES):
        head = os.pread(fd, 2 * _HEAD, start) if start + _HEAD <= end else b""
        if len(head) < _HEAD:
            return
        size, kind = struct.unpack(">I4s", head[:_HEAD])
        body = start + _HEAD
        if size == 1 and len(head) == 2 * _HEAD:  # too large for 32 bits
            size, body = struct.unpack(">Q", head[_HEAD:])[0], start + 2 * _HEAD
        finish = start + size if size else end
        if finish < body:
            return
        yield Box(kind, start, body, finish)
        start = finish


def encrypted_ranges(fd: int, outermost: Sequence[Box]) -> Ranges:
    """The parts of a file whose fragments hold encrypted video. Files that were joined have several headers."""
    if all(box.kind != b"moof" for box in outermost):
        return ()
    found: list[tuple[int, int]] = []
    described: dict[int, list[bytes]] = {}
    defaults: dict[int, int] = {}
    start, secret = 0, False
    for box in outermost:
        if box.kind == b"moov":
            described = {number: kinds for number, kinds in _described(fd, box) if set(kinds) & _ENCRYPTED}
            defaults = dict(_defaults(fd, box)) if described else {}
        elif box.kind == b"moof":
            start, secret = box.start, bool(described) and _is_secret(fd, box, described, defaults)
        elif box.kind == b"mdat" and secret:
            found.append((start, box.end))
    return tuple(found)


def lies_in(place: int, ranges: Ranges) -> bool:
    """Whether a byte lies in one of some ranges, which are in order."""
    number = bisect_right(ranges, (place, math.inf))
    return number > 0 and place < ranges[number - 1][1]


def _within(fd: int, outer: Box, *kinds: bytes) -> Iterator[Box]:
    """The boxes on a path of kinds inside of another."""
    for box in boxes(fd, outer.body, outer.end):
        if box.kind == kinds[0]:
            yield from _within(fd, box, *kinds[1:]) if kinds[1:] else (box,)


def _described(fd: int, moov: Box) -> Iterator[tuple[int, list[bytes]]]:
    """The number of each track, and the kinds of its sample descriptions."""
    for track in _within(fd, moov, b"trak"):
        header = next(_within(fd, track, b"tkhd"), None)
        table = next(_within(fd, track, b"mdia", b"minf", b"stbl", b"stsd"), None)
        if header is not None and table is not None:
            version = os.pread(fd, 1, header.body)
            number = _number(fd, header.body + (20 if version == b"\1" else 12))
            yield number, [box.kind for box in boxes(fd, table.body + 8, table.end)]


def _defaults(fd: int, moov: Box) -> Iterator[tuple[int, int]]:
    """The number of each track, and which of its descriptions holds where a fragment names none."""
    for box in _within(fd, moov, b"mvex", b"trex"):
        yield _number(fd, box.body + 4), _number(fd, box.body + 8)


def _is_secret(fd: int, moof: Box, described: dict[int, list[bytes]], defaults: dict[int, int]) -> bool:
    """Whether a fragment has samples of an encrypted video."""
    for header in _within(fd, moof, b"traf", b"tfhd"):
        flags, track = _number(fd, header.body) & 0xFFFFFF, _number(fd, header.body + 4)
        named = header.body + (16 if flags & _BASE_OFFSET else 8)
        which = _number(fd, named) if flags & _DESCRIPTION else defaults.get(track, 1)
        if not _ENCRYPTED.isdisjoint(described.get(track, [])[which - 1 : which]):
            return True
    return False


def _number(fd: int, place: int) -> int:
    return int.from_bytes(os.pread(fd, 4, place), "big")
