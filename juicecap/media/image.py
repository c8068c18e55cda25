"""Still pictures: opened by Pillow, turned upright by their EXIF orientation, in RGB, scaled to what the model takes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageOps,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from juicecap.errors import MediaError
from juicecap.media.access.files import open_file
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.sample import display_path

_READERS = (
    AvifImagePlugin.AvifImageFile,
    BmpImagePlugin.BmpImageFile,
    GifImagePlugin.GifImageFile,
    IcoImagePlugin.IcoImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    PpmImagePlugin.PpmImageFile,
    TiffImagePlugin.TiffImageFile,
    WebPImagePlugin.WebPImageFile,
)
"""What is read. Pillow knows more, some of which is a program for another one to run (EPS) or leads to other files."""

_FORMATS = tuple(reader.format for reader in _READERS)

_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values for pictures that lie on their side."""


def read_image(path: str, size: Callable[[int, int], tuple[int, int]], *, rules: MediaLimits = DEFAULT_RULES) -> np.ndarray:
    """Read a picture as (height, width, 3) uint8. `size` maps the upright (width, height) to the one wanted.

    Transparent parts become white.

    Raises:
        MediaError: as `open_file`; `UNREADABLE`, `TOO_LARGE` (checked before the pixels are decoded) or `UNDECODABLE`.
        MemoryError: this process may not take as much memory as that needs.
    """
    upright = _upright(path, rules)
    return np.asarray(upright.resize(size(*upright.size), Image.Resampling.BICUBIC))


def image_size(path: str, *, rules: MediaLimits = DEFAULT_RULES) -> tuple[int, int]:
    """(width, height) of the upright picture, from its header alone.

    Raises:
        MediaError: as `read_image`, as far as the header tells.
    """
    with _opened(path, rules) as stored:
        turned = stored.getexif().get(_ORIENTATION) in _TURNED
        return stored.size[::-1] if turned else stored.size


def _upright(path: str, rules: MediaLimits) -> Image.Image:
    with _opened(path, rules) as stored:
        return _rgb(ImageOps.exif_transpose(stored))


@contextmanager
def _opened(path: str, rules: MediaLimits) -> Iterator[Image.Image]:
    """The picture, its pixels not yet decoded; what goes wrong with it, also later on, as a MediaError."""
    name = display_path(path)
    with open_file(path, rules) as fd, open(fd, "rb", closefd=False) as file, _bombs_of(rules.max_pixels):
        try:
            with Image.open(file, formats=_FORMATS) as stored:
                _check_size(name, stored, rules.max_pixels)
                yield stored
        except (MediaError, MemoryError):
            raise
        except Image.DecompressionBombError as error:  # Pillow's own limit, met before the size can be asked
            raise MediaError("TOO_LARGE", f"{name} has more than {2 * rules.max_pixels} pixels (media_max_pixels)") from error
        except UnidentifiedImageError as error:
            raise MediaError("UNREADABLE", f"{name} is not a picture that can be read") from error
        except Exception as error:  # a foreign decoder's door: Pillow's plugins raise all sorts of errors on damaged data
            raise MediaError("UNDECODABLE", f"{name} is damaged ({display_path(str(error))})") from error


@contextmanager
def _bombs_of(max_pixels: int) -> Iterator[None]:
    """Pillow's own limit, which also guards pictures inside of pictures; it warns there, and raises at twice as many pixels.

    Its warnings, of what is odd in a file, are nobody's news.
    """
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _check_size(name: str, stored: Image.Image, max_pixels: int) -> None:
    if stored.width * stored.height > max_pixels:
        sizes = f"{stored.width}x{stored.height}, more than {max_pixels} pixels"
        raise MediaError("TOO_LARGE", f"{name} is {sizes} (media_max_pixels)")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey; Pillow's conversion would make everything above 255 white
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")
