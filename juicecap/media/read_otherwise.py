"""Whether a file is of a kind that versions before `READING_VERSION` read otherwise: answers about it of then do not count.

Headers alone tell it, as cheaply as possible, and rather of one file too many: then a model is asked again for nothing. Ordinary
files (an MP4 with one plain video track, a Matroska file that is whole, a JPEG in sRGB) are read as they were.

Not covered: what no header shows, such as packets that a decoder refuses; and the last frame before an edit list's cut.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator

from juicecap.media.access.files import open_file
from juicecap.media.access.picture_folder import is_folder, pictures_in
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.media.video.mp4_boxes import Box, boxes

READING_VERSION = 2
"""Version of how media are read: increase it when media are read otherwise, and describe their kind here."""

_HEAD = 2**16
_MOST = 2**20
"""Bytes of a table that are looked at."""

_ANY = (
    b"FLV", b"OggS", b"\x30\x26\xb2\x75", b"nut/", b"\0\0\1\xba", b"\0\0\1\xb3", b"\0\0\0\1", b"\0\0\1", b"\x1f\x07\0", b"GIF8",
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"PF\n", b"Pf\n",
)  # fmt: skip
"""Beginnings of FLV, Ogg, ASF, NUT, MPEG program and elementary streams, raw streams, DV, GIF, TIFF and PFM."""

_SRGB = re.compile(rb"sRGB|s\0R\0G\0B")
_ENCRYPTED = (b"encv", b"drmi")
_TRANSPARENT = (b"ap4h", b"ap4x")
_VISUAL = 78
"""Bytes of a video's sample description before the boxes in it."""

_PQ, _BT2020 = 16, 9
"""Transfer function and primaries, by the numbers of ITU-T H.273."""

_SURPLUS = 1.0
"""Seconds that a header has more than the index."""

_DISPLAY = re.compile(rb"\x54(\xb0|\xba)([\x81-\x84])")
_STORED = re.compile(rb"(?<!\x54)(\xb0|\xba)([\x81-\x84])")


def reading_of(path: str, rules: MediaLimits = DEFAULT_RULES) -> str:
    """`READING_VERSION`, with a `+` for a file that is read otherwise since it; empty for one that cannot be read.

    A folder of pictures is read otherwise if one of them is.

    Raises:
        MediaError, EnvironmentFailure: as `open_file`.
    """
    if is_folder(path):
        return max(reading_of(each, rules) for each in pictures_in(path, rules))
    with open_file(path, rules) as fd:
        try:
            return f"{READING_VERSION}{'+' if is_read_otherwise(fd) else ''}"
        except OSError:
            return ""


def is_known(reading: str) -> bool:
    """Whether it was found out by this version how the file is read."""
    return reading.rstrip("+") == str(READING_VERSION)


def is_otherwise(reading: str) -> bool:
    """Whether the file is read otherwise than by versions before."""
    return reading.endswith("+")


def is_read_otherwise(fd: int) -> bool:
    """Whether the file that is open is of such a kind. Nothing of it is decoded, and no more than a few MiB are read."""
    size, head = os.fstat(fd).st_size, os.pread(fd, _HEAD, 0)
    if head.startswith(_ANY) or _is_transport_stream(head):
        return True
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"moof"):
        return _is_odd_mp4(fd, size, head)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return _is_odd_matroska(head, size)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _is_odd_avi(head, size)
    return _is_odd_picture(head)


def _is_transport_stream(head: bytes) -> bool:
    return any(head[at : at + 1] == head[at + packet : at + packet + 1] == b"G" for at, packet in ((0, 188), (4, 192)))


def _is_odd_picture(head: bytes) -> bool:
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        flags = int.from_bytes(head[20:21], "big")
        return bool(flags & 0x02) or (bool(flags & 0x20) and not _SRGB.search(head))
    if head.startswith(b"\x89PNG"):
        return b"acTL" in head or (b"iCCP" in head and not _SRGB.search(head))
    return head.startswith(b"\xff\xd8") and b"ICC_PROFILE\0" in head and not _SRGB.search(head)


def _is_odd_avi(head: bytes, size: int) -> bool:
    at = head.find(b"avih")
    flags = int.from_bytes(head[at + 20 : at + 24], "little") if at >= 0 else 0
    return not flags & 0x10 or int.from_bytes(head[4:8], "little") + 8 > size


def _is_odd_matroska(head: bytes, size: int) -> bool:
    """One that was cut off or never finished, with pixels that are not square, several films, PQ or BT.2020."""
    at = head.find(b"\x18\x53\x80\x67")
    if at < 0:
        return True
    first = head[at + 4] if at + 4 < len(head) else 0
    width = 9 - first.bit_length() if first else 8
    length = int.from_bytes(head[at + 4 : at + 4 + width], "big") & ((1 << 7 * width) - 1)
    if length == (1 << 7 * width) - 1 or at + 4 + width + length > size:
        return True
    films = len(re.findall(rb"\x86[\x80-\xff]V_", head))
    odd_colours = b"\x55\xba\x81\x10" in head or b"\x55\xbb\x81\x09" in head
    return films != 1 or odd_colours or _is_stretched(head)


def _is_stretched(head: bytes) -> bool:
    shown, stored = ({kind: _value(head, found.end(), found[2]) for found in pattern.finditer(head) if (kind := found[1])}
                     for pattern in (_DISPLAY, _STORED))  # fmt: skip
    if shown.keys() != {b"\xb0", b"\xba"} or stored.keys() != shown.keys():
        return False
    return shown[b"\xb0"] * stored[b"\xba"] != shown[b"\xba"] * stored[b"\xb0"]


def _value(head: bytes, at: int, length: bytes) -> int:
    return int.from_bytes(head[at : at + (length[0] & 0x7F)], "big")


def _is_odd_mp4(fd: int, size: int, head: bytes) -> bool:
    outermost = []
    for box in boxes(fd, 0, size):
        if box.kind == b"moof" or box.end > size:
            return True
        outermost.append(box)
    if head[8:12] in (b"avif", b"avis"):
        return b"avis" in head[:64] or (re.search(rb"prof|rICC", head) is not None and not _SRGB.search(head))
    moov = next((box for box in outermost if box.kind == b"moov"), None)
    if moov is None:
        return True
    tracks = [box for box in _children(fd, moov) if box.kind == b"trak"]
    films = [track for track in tracks if _handler(fd, track) == b"vide"]
    return len(films) != 1 or _is_odd_track(fd, films[0])


def _is_odd_track(fd: int, track: Box) -> bool:
    return _is_mirrored(fd, track) or _is_odd_description(fd, track) or _promises_more(fd, track)


def _is_mirrored(fd: int, track: Box) -> bool:
    header = _at(fd, track, b"tkhd")
    if header is None:
        return True
    start = header.body + (52 if os.pread(fd, 1, header.body) == b"\1" else 40)
    numbers = [int.from_bytes(os.pread(fd, 4, start + 4 * place), "big", signed=True) for place in range(5)]
    a, b, _, c, d = numbers
    return a * d - b * c < 0


def _is_odd_description(fd: int, track: Box) -> bool:
    table = _at(fd, track, b"mdia", b"minf", b"stbl", b"stsd")
    if table is None:
        return True
    for entry in boxes(fd, table.body + 8, table.end):
        if entry.kind in (*_ENCRYPTED, *_TRANSPARENT):
            return True
        for box in boxes(fd, entry.body + _VISUAL, entry.end):
            content = os.pread(fd, 16, box.body)
            if box.kind == b"pasp" and content[:4] != content[4:8]:
                return True
            transfer, primaries = int.from_bytes(content[6:8], "big"), int.from_bytes(content[4:6], "big")
            if box.kind == b"colr" and content[:4] in (b"nclx", b"nclc") and (transfer == _PQ or primaries == _BT2020):
                return True
    return False


def _promises_more(fd: int, track: Box) -> bool:
    """Whether the film's header promises more than its index has."""
    header = _at(fd, track, b"mdia", b"mdhd")
    table = _at(fd, track, b"mdia", b"minf", b"stbl", b"stts")
    scale = _number(fd, header, 12, 20)
    if header is None or table is None or not scale:
        return True
    counts = os.pread(fd, max(0, min(_MOST, table.end - table.body - 8)), table.body + 8)
    indexed: int = sum(count * delta for count, delta in struct.iter_unpack(">II", counts[: len(counts) // 8 * 8]))
    return _number(fd, header, 16, 24, wide=True) > indexed + _SURPLUS * scale


def _children(fd: int, outer: Box) -> Iterator[Box]:
    return boxes(fd, outer.body, outer.end)


def _at(fd: int, outer: Box, *kinds: bytes) -> Box | None:
    """The first box on a path of kinds inside of another."""
    for kind in kinds:
        found = next((box for box in _children(fd, outer) if box.kind == kind), None)
        if found is None:
            return None
        outer = found
    return outer


def _handler(fd: int, track: Box) -> bytes:
    box = _at(fd, track, b"mdia", b"hdlr")
    return os.pread(fd, 4, box.body + 8) if box else b""


def _number(fd: int, box: Box | None, narrow: int, wide_at: int, *, wide: bool = False) -> int:
    """A number of a header box: at `narrow` in version 0, at `wide_at` in version 1, where `wide` ones have eight bytes."""
    if box is None:
        return 0
    is_wide = os.pread(fd, 1, box.body) == b"\1"
    return int.from_bytes(os.pread(fd, 8 if is_wide and wide else 4, box.body + (wide_at if is_wide else narrow)), "big")
