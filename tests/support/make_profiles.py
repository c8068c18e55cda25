"""Colour profiles (ICC.1:2001), byte by byte, and what colours are by them."""

from __future__ import annotations

import struct


def xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in (x, y, z)))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


WHITE = xyz(0.9642, 1.0, 0.8249)
P3 = {b"rXYZ": xyz(0.51512, 0.2412, -0.00105), b"gXYZ": xyz(0.29198, 0.69225, 0.04189), b"bXYZ": xyz(0.1571, 0.06657, 0.78407)}
"""Display P3's colours at D50."""


def profile(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """An ICC profile of version 2."""
    place, table, data = 132 + 12 * len(tags), b"", b""
    for name, tag in tags.items():
        table += name + struct.pack(">II", place + len(data), len(tag))
        data += tag + b"\0" * (-len(tag) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(data), b"lcms", 0x02100000, kind, space, b"XYZ ") + bytes(12) + b"acsp"
    head += bytes(28) + WHITE[8:] + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + data


def rgb_profile(colours: dict[bytes, bytes], curve: bytes) -> bytes:
    return profile(b"RGB ", {b"wtpt": WHITE, **colours, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)})


_RED, _GREEN, _BLUE = xyz(0.43607, 0.22249, 0.01392), xyz(0.38515, 0.71688, 0.09708), xyz(0.14308, 0.06061, 0.71409)
"""Those of sRGB at D50."""

SWAPPED = rgb_profile({b"rXYZ": _GREEN, b"gXYZ": _RED, b"bXYZ": _BLUE}, gamma(2.2))
"""Whose red is sRGB's green, and the other way round."""


def brought(*linear: float) -> list[float]:
    """Linear light as sRGB (IEC 61966-2-1), from 0 to 255."""
    return [255 * (12.92 * each if each <= 0.0031308 else 1.055 * each ** (1 / 2.4) - 0.055) for each in linear]


RED = (240, 20, 30)
GREEN = brought(*((each / 255) ** 2.2 for each in (20, 240, 30)))
"""What `RED` is by the profile `SWAPPED`."""

GREY_LINEAR = profile(b"GRAY", {b"wtpt": WHITE, b"kTRC": gamma(1.0)})
"""Of greys that are as light as their numbers."""
