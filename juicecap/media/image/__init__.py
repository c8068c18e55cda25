"""Still pictures as a viewer shows them: upright, in sRGB, white where they are transparent; scaled to what the model takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from juicecap.media.image.colours import rgb
from juicecap.media.image.opened import opened
from juicecap.media.image.orientation import upright, upright_size
from juicecap.media.rules import DEFAULT_RULES, MediaLimits


def read_image(path: str, size: Callable[[int, int], tuple[int, int]], *, rules: MediaLimits = DEFAULT_RULES) -> np.ndarray:
    """Read a picture as (height, width, 3) uint8. `size` maps the upright (width, height) to the one wanted.

    Raises:
        MediaError: as `open_file`; `UNREADABLE`, `TOO_LARGE` (checked before the pixels are decoded) or `UNDECODABLE`.
        MemoryError: this process may not take as much memory as that needs.
    """
    with opened(path, rules) as stored:
        picture = upright(rgb(stored), stored)
    return np.asarray(picture.resize(size(*picture.size), Image.Resampling.BICUBIC))


def image_size(path: str, *, rules: MediaLimits = DEFAULT_RULES) -> tuple[int, int]:
    """(width, height) of the upright picture, from its header alone.

    Raises:
        MediaError: as `read_image`, as far as the header tells.
    """
    with opened(path, rules) as stored:
        return upright_size(stored)
