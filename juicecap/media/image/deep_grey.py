"""Greys of more than 8 bits, brought to 8. Only TIFFs (and PFM, with fractions) have others than 16 bits; few say what is white.

A TIFF's own `SMinSampleValue` and `SMaxSampleValue` say what is black and white. Without them the largest value decides:

- fractions up to 1 are multiplied by 255, up to 255 taken as they are, and beyond that the largest one is white;
- integers of 32 bits up to 255 are taken as they are, up to 65,535 divided by 256, and beyond that the largest one is white;
- integers of 16 bits are divided by 256.

What is less than 0, and what is no number, is black.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, TiffImagePlugin

_SAMPLE_FORMAT, _UNSIGNED = 339, 1
_SMIN, _SMAX = 340, 341

_EIGHT, _SIXTEEN = 255, 65_535


def eight_bits(stored: Image.Image) -> Image.Image:
    """A picture of mode `I`, `I;16` or `F`, in any order of bytes, as greys of mode `L`."""
    values = _values(stored)
    if (bounds := _bounds(stored)) is not None:
        black, white = bounds
        return _grey((values.astype(np.float64) - black) * _EIGHT / (white - black))
    if stored.mode.startswith("I;") or (stored.mode == "I" and not isinstance(stored, TiffImagePlugin.TiffImageFile)):
        return _grey(values >> 8)
    most = float(values.max(initial=0, where=np.isfinite(values)))
    if most <= 1 and stored.mode == "F":
        return _grey(values * _EIGHT)
    if most <= _EIGHT:
        return _grey(values)
    if most <= _SIXTEEN and stored.mode == "I":
        return _grey(values >> 8)
    return _grey(values.astype(np.float64) * _EIGHT / most)


def _values(stored: Image.Image) -> np.ndarray:
    """Pillow holds 32 bits with a sign, whether they have one or not."""
    values = np.asarray(stored)
    is_tiff = isinstance(stored, TiffImagePlugin.TiffImageFile)
    unsigned = is_tiff and stored.mode == "I" and _tag(stored, _SAMPLE_FORMAT, _UNSIGNED) == _UNSIGNED
    return values.view(np.uint32) if unsigned else values


def _bounds(stored: Image.Image) -> tuple[float, float] | None:
    """What the file says is black and white, if it says something that can be."""
    black, white = _tag(stored, _SMIN, 0.0), _tag(stored, _SMAX, math.nan)
    return (black, white) if math.isfinite(black) and math.isfinite(white) and black < white else None


def _tag(stored: Image.Image, number: int, default: float) -> float:
    """The number in a tag, of which Pillow makes a tuple where there may be several."""
    found = stored.tag_v2.get(number, default) if isinstance(stored, TiffImagePlugin.TiffImageFile) else default
    try:
        return float(found[0] if isinstance(found, tuple) else found)
    except (IndexError, TypeError, ValueError, ZeroDivisionError):
        return default


def _grey(values: np.ndarray) -> Image.Image:
    if values.dtype.kind == "f":
        values = np.rint(np.nan_to_num(values, nan=0.0))
    return Image.fromarray(values.clip(0, _EIGHT).astype(np.uint8))
