"""HEIC pictures, which Pillow does not read: by pi-heif, an extra that decodes and does not encode.

Nothing is registered with Pillow, so that nobody else's pictures are read in another way. Only processes that decode come here.
"""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image

from juicecap.errors import MediaError, short_of_memory


def opened(name: str, file: BinaryIO) -> Image.Image:
    """The picture, its pixels not yet decoded: what the file itself says of how it stands is followed when they are.

    Raises:
        MediaError: `UNREADABLE`: the extra is not installed.
        MemoryError: the library cannot be loaded for want of memory.
    """
    try:
        import pi_heif
    except ImportError as error:
        if short_of_memory(error):
            raise MemoryError(str(error)) from error
        way = 'pip install "juicecap[heif]" installs what reads it'
        raise MediaError("UNREADABLE", f"{name} is a HEIC picture: {way}", retryable=True) from error
    options = pi_heif.options
    options.DECODE_THREADS = 1  # there is a process for each core
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    picture: Image.Image = pi_heif.HeifImageFile(file)
    return picture
