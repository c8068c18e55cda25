"""How a stored picture is laid on the screen: mirrored, turned, and with pixels that are made square.

The display matrix is that of ISO/IEC 14496-12 (tkhd): a stored point (x, y) is shown at (a x + c y, b x + d y), y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
from av import VideoFrame
from av.sidedata.sidedata import SideData, Type

MOST_STRETCHED = 10
"""No picture is meant to be stretched further than that; a ratio that says so is taken for a mistake."""

_MATRIX_BYTES = 36


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """A stored picture is mirrored first (left and right change places), and then turned by `rotation` degrees clockwise.

    `aspect` is the width of a stored pixel divided by its height.
    """

    rotation: int = 0
    mirrored: bool = False
    aspect: Fraction = Fraction(1)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) on the screen of a picture that is stored as `width` x `height`.

        Pixels are made square by stretching the side that is too short, so nothing that is stored gets lost.
        """
        if self.aspect > 1:
            width = round(width * self.aspect)
        else:
            height = round(height / self.aspect)
        return self.stored(width, height)

    def stored(self, width: int, height: int) -> tuple[int, int]:
        """The sides of a shown picture in the order of the stored one, and the other way round."""
        return (width, height) if self.rotation in (0, 180) else (height, width)

    def upright(self, pixels: np.ndarray) -> np.ndarray:
        """The stored pixels (height, width, ...) as they are shown; a view of them."""
        return np.rot90(pixels[:, ::-1] if self.mirrored else pixels, -self.rotation // 90)


def orientation_of(frame: VideoFrame | None, aspect: Fraction | None) -> Orientation:
    """What the first frame and the stream's sample aspect ratio say; a matrix that is no quarter turn counts as the nearest."""
    if aspect is None or not 1 / Fraction(MOST_STRETCHED) <= aspect <= MOST_STRETCHED:
        aspect = Fraction(1)
    a, b, c, d = _matrix(frame)
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    rotation = round(math.degrees(math.atan2(b, a)) / 90) * 90 % 360
    return Orientation(rotation=rotation, mirrored=mirrored, aspect=aspect)


def _matrix(frame: VideoFrame | None) -> tuple[int, int, int, int]:
    """(a, b, c, d) in the file's own units; those of a picture that stays as it is where there is no matrix."""
    data = cast("Mapping[Type, SideData]", frame.side_data) if frame is not None else {}  # a Mapping of texts in PyAV's stub
    told = data.get(Type.DISPLAYMATRIX)
    if told is None or told.buffer_size < _MATRIX_BYTES:
        return 1, 0, 0, 1
    numbers = np.frombuffer(bytes(told), np.int32, 9).tolist()
    return numbers[0], numbers[1], numbers[3], numbers[4]
