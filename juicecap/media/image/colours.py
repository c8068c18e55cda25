"""From the pixels that a file stores to 8-bit sRGB.

A colour profile (ICC) is followed, with its perceptual intent as browsers do. One that is damaged, or made for other pixels than
the picture's, is none. One that moves no colour by more than `ALIKE` levels is sRGB under another name: then the pixels stay as
they are. Transparent parts, and what a GIF's first picture leaves of its canvas, become white.

Not covered: colours that are described in another way (PNG's gAMA and cHRM, AVIF's and HEIC's nclx).
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import GifImagePlugin, Image, ImageCms

from juicecap.media.image.deep_grey import eight_bits

ALIKE = 2
"""Levels, of 255."""

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""What a profile says that it is for, and Pillow's mode of such pixels."""

_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")


def rgb(stored: Image.Image) -> Image.Image:
    """The picture in sRGB, not yet upright."""
    colours, alpha = _parts(stored)
    profile = stored.info.get("icc_profile")
    transform = _transform(profile, colours.mode) if isinstance(profile, bytes) and profile else None
    colours = _applied(transform, colours) if transform else colours.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
        colours = on_white(colours)
    return _on_canvas(colours, stored)


def on_white(colours: Image.Image) -> Image.Image:
    """An RGBA picture as RGB, on white."""
    return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")


def _parts(stored: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colours in one of `_MODES`, and what of them is to be seen."""
    if stored.mode.startswith(("I", "F")):
        return eight_bits(stored), None
    if stored.mode == "La":
        stored = stored.convert("LA")
    if stored.mode == "LA":
        return stored.getchannel("L"), stored.getchannel("A")
    if stored.mode in _TRANSPARENT or "transparency" in stored.info:
        seen = stored.convert("RGBA")
        return seen.convert("L" if stored.mode == "L" else "RGB"), seen.getchannel("A")
    if stored.mode == "1":
        return stored.convert("L"), None
    return stored if stored.mode in _MODES.values() else stored.convert("RGB"), None


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From the profile's colours to sRGB; None if nothing is to be done."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _MODES.get(source.profile.xcolor_space.strip()) != mode:
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (OSError, ImageCms.PyCMSError):
        return None
    return None if mode != "CMYK" and _moves_nothing(transform, mode) else transform


def _applied(transform: ImageCms.ImageCmsTransform, colours: Image.Image) -> Image.Image:
    seen = ImageCms.applyTransform(colours, transform)
    assert seen is not None  # which it is only in place
    return seen


def _moves_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    shades = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    patches = Image.fromarray(shades) if mode == "RGB" else Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    before, after = (np.asarray(each.convert("RGB"), np.int16) for each in (patches, _applied(transform, patches)))
    return bool(np.abs(before - after).max() <= ALIKE)


def _on_canvas(picture: Image.Image, stored: Image.Image) -> Image.Image:
    """A GIF's first picture may cover a part of its canvas; the rest has no colour of its own."""
    place = stored.dispose_extent if isinstance(stored, GifImagePlugin.GifImageFile) else None
    if not place or place == (0, 0, *picture.size):
        return picture
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(picture.crop(place), place[:2])
    return canvas
