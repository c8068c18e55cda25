"""Still pictures: opened by Pillow, turned upright by their EXIF orientation, in RGB, scaled to what the model takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from juicecap.errors import MediaError
from juicecap.media.files import check_file


def read_image(path: str, size: Callable[[int, int], tuple[int, int]], *, max_pixels: int = 64_000_000) -> np.ndarray:
    """Read a picture as (height, width, 3) uint8. `size` maps the upright (width, height) to the one wanted.

    Transparent parts become white.

    Raises:
        MediaError: `FILE_NOT_FOUND`, `NOT_A_FILE`, `NO_PERMISSION`, `UNREADABLE`, `TOO_LARGE` (more than `max_pixels`,
            checked before the pixels are decoded) or `UNDECODABLE`.
    """
    check_file(path)
    upright = _upright(path, max_pixels)
    return np.asarray(upright.resize(size(*upright.size), Image.Resampling.BICUBIC))


def _upright(path: str, max_pixels: int) -> Image.Image:
    try:
        with Image.open(path) as stored:
            _check_size(path, stored, max_pixels)
            return _rgb(ImageOps.exif_transpose(stored))
    except MediaError:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, met before the size can be asked
        raise MediaError("TOO_LARGE", f"{path} is too large ({error})") from error
    except UnidentifiedImageError as error:
        raise MediaError("UNREADABLE", f"{path} is not a picture that can be read") from error
    except Exception as error:  # a foreign decoder's door: Pillow's plugins raise all sorts of errors on damaged data
        raise MediaError("UNDECODABLE", f"{path} is damaged ({error})") from error


def _check_size(path: str, stored: Image.Image, max_pixels: int) -> None:
    if stored.width * stored.height > max_pixels:
        raise MediaError("TOO_LARGE", f"{path} is {stored.width}x{stored.height}, more than {max_pixels} pixels")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey; Pillow's conversion would make everything above 255 white
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")
