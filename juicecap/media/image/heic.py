"""HEIC pictures, which Pillow does not read: by pi-heif, an extra that decodes and does not encode.

Nothing is registered with Pillow, so that nobody else's pictures are read in another way. Only processes that decode come here.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from PIL import Image

from juicecap.errors import MediaError, short_of_memory

_LARGE, _LEAST = 1, 8
"""The size of a box that has its real size, of 64 bits, behind its name; and of one that is empty."""


def opened(name: str, file: BinaryIO) -> Image.Image:
    """The picture, its pixels not yet decoded: what the file itself says of how it stands is followed when they are.

    Raises:
        MediaError: `UNREADABLE`: the extra is not installed; `UNDECODABLE`: a part of the file is missing.
        MemoryError: the library cannot be loaded for want of memory.
    """
    try:
        import pi_heif
    except ImportError as error:
        if short_of_memory(error):
            raise MemoryError(str(error)) from error
        way = 'pip install "juicecap[heif]" installs what reads it'
        raise MediaError("UNREADABLE", f"{name} is a HEIC picture: {way}", retryable=True) from error
    if _ends_early(file):  # the library would show what is missing as black
        raise MediaError("UNDECODABLE", f"{name} is damaged (image file is truncated)")
    options = pi_heif.options
    options.DECODE_THREADS = 1  # there is a process for each core
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    picture: Image.Image = pi_heif.HeifImageFile(file)
    return picture


def _ends_early(file: BinaryIO) -> bool:
    """Whether the boxes of the file, one behind the other, reach beyond its end. Leaves it at its start."""
    end, place = file.seek(0, os.SEEK_END), 0
    while place < end:
        file.seek(place)
        head = file.read(16)
        size = int.from_bytes(head[:4], "big")
        if size == _LARGE:
            size = int.from_bytes(head[8:], "big")
        place = place + max(size, _LEAST) if size else end
    file.seek(0)
    return place > end
