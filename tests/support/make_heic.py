"""HEIC pictures, box by box: no library that is installed here writes them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIDE = 64
"""Of a tile, in pixels."""


def write_heic(path: Path, tiles: Sequence[int | tuple[int, int, int]], *, profile: bytes = b"", size: int = 0) -> Path:
    """A picture of one tile or of two by two, each of one colour. `size` is what its header claims, where that is wrong."""
    side = SIDE * (1 if len(tiles) == 1 else 2)
    config, coded = zip(*map(_coded, tiles), strict=True)
    properties = [config[0], _full(b"ispe", _numbers(4, SIDE if len(tiles) > 1 else size or side, SIDE))]
    properties += [_full(b"ispe", _numbers(4, size or side, side)), _box(b"colr", b"prof", profile) if profile else b""]
    kinds = [b"hvc1"] * len(tiles) + [b"grid"] * (len(tiles) > 1)
    grid = b"\0\0\1\1" + _numbers(2, side, side)
    noted = b"".join(
        _numbers(2, number) + bytes([2, 0x81, 2] if kind == b"hvc1" and not profile else _of(kind, profile))
        for number, kind in enumerate(kinds, start=1)
    )
    items = [_full(b"infe", _numbers(2, number, 0) + kind + b"\0", 2) for number, kind in enumerate(kinds, start=1)]
    tiled = _box(b"dimg", _numbers(2, len(kinds), len(tiles), *range(1, len(tiles) + 1)))
    fixed = [
        _full(b"hdlr", bytes(4), b"pict", bytes(13)),
        _full(b"pitm", _numbers(2, len(kinds))),
        _full(b"iinf", _numbers(2, len(kinds)), *items),
        _box(b"iprp", _box(b"ipco", *properties), _full(b"ipma", _numbers(4, len(kinds)) + noted)),
        *([_full(b"iref", tiled), _box(b"idat", grid)] if len(tiles) > 1 else []),
    ]
    start = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    where = len(start) + len(_full(b"meta", *fixed, _places(coded, kinds, 0))) + 8
    path.write_bytes(start + _full(b"meta", *fixed, _places(coded, kinds, where)) + _box(b"mdat", *coded))
    return path


def _of(kind: bytes, profile: bytes) -> list[int]:
    """How many properties an item has, and which."""
    if kind == b"grid":
        return [2, 3, 4] if profile else [1, 3]
    return [3, 0x81, 2, 4]


def _places(coded: tuple[bytes, ...], kinds: list[bytes], start: int) -> bytes:
    noted = b""
    for number, data in enumerate(coded, start=1):
        noted += _numbers(2, number, 0, 0, 1) + _numbers(4, start, len(data))
        start += len(data)
    if b"grid" in kinds:
        noted += _numbers(2, len(kinds), 1, 0, 1) + _numbers(4, 0, 8)
    return _full(b"iloc", b"\x44\0", _numbers(2, len(kinds)), noted, version=1)


def _coded(colour: int | tuple[int, int, int]) -> tuple[bytes, bytes]:
    """The decoder's settings, a box, and the one picture, as HEVC."""
    encoder = av.CodecContext.create("libx265", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = SIDE, SIDE, "yuvj420p", Fraction(1, 10)
    encoder.options = {"crf": "1", "x265-params": "log-level=none:repeat-headers=1:info=0"}
    frame = av.VideoFrame.from_ndarray(np.full((SIDE, SIDE, 3), colour, np.uint8), format="rgb24")
    stream = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode()])
    units = [unit.rstrip(b"\0") for unit in stream.split(b"\0\0\1")[1:]]
    sets = [unit for unit in units if unit[0] >> 1 in (32, 33, 34)]
    profile = next(unit for unit in sets if unit[0] >> 1 == 33).replace(b"\0\0\3", b"\0\0")[3:15]
    head = b"\1" + profile + b"\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f" + bytes([len(sets)])
    arrays = [bytes([0x80 | unit[0] >> 1]) + _numbers(2, 1, len(unit)) + unit for unit in sets]
    return _box(b"hvcC", head, *arrays), b"".join(_numbers(4, len(unit)) + unit for unit in units if unit not in sets)


def _numbers(width: int, *values: int) -> bytes:
    return b"".join(value.to_bytes(width, "big") for value in values)


def _box(kind: bytes, *parts: bytes) -> bytes:
    return (8 + sum(map(len, parts))).to_bytes(4, "big") + kind + b"".join(parts)


def _full(kind: bytes, *parts: bytes | int, version: int = 0) -> bytes:
    """With a version, which may also be the last part."""
    if isinstance(parts[-1], int):
        version, parts = parts[-1], parts[:-1]
    return _box(kind, bytes([version, 0, 0, 0]), *parts)
