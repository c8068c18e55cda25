"""Pixels as files in memory: JPEG pictures, also small ones for people to look at, and a small MP4 video."""

from __future__ import annotations

import io
from collections.abc import Iterable

import av
import numpy as np
from PIL import Image

QUALITY = 95
"""With colours at full resolution: what is lost is less than what a video's own compression lost before."""

LONGEST_SIDE = 65_500
"""Pixels of a side of a JPEG, at most (libjpeg's limit)."""


def jpeg(pixels: np.ndarray, quality: int = QUALITY) -> bytes:
    """A picture of (height, width, 3) uint8 as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:4:4")
    return file.getvalue()


def thumbnail(pixels: np.ndarray, longest: int) -> np.ndarray:
    """(height, width, 3) uint8, its longer side at most `longest` pixels; small pictures stay as they are."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest))
    return np.asarray(image)


def mp4(frames: Iterable[np.ndarray], fps: int) -> bytes:
    """Frames of (height, width, 3) uint8, with even sides, as an H.264 video in an MP4 file."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.pix_fmt = "yuv420p"
        for number, pixels in enumerate(frames):
            if number == 0:
                stream.height, stream.width = pixels.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()
