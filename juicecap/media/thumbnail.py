"""Thumbnails of pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image


def thumbnail(pixels: np.ndarray, longest: int) -> np.ndarray:
    """(height, width, 3) uint8, its longer side at most `longest` pixels; small pictures stay as they are."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest))
    return np.asarray(image)
