"""Which side of a stored picture is up. A note of it that cannot be read is none, and costs no picture."""

from __future__ import annotations

from PIL import Image, TiffImagePlugin

_ORIENTATION = 0x0112
_SIDES = (TiffImagePlugin.IMAGEWIDTH, TiffImagePlugin.IMAGELENGTH)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation, and what makes such a picture upright."""

_TURNED = (5, 6, 7, 8)
"""Of pictures that lie on their side."""


def upright(picture: Image.Image, stored: Image.Image) -> Image.Image:
    """The picture, made of `stored`, as that says that it stands. Pillow turns TIFFs itself when it decodes them."""
    turn = None if isinstance(stored, TiffImagePlugin.TiffImageFile) else _TURNS.get(_orientation(stored))
    return picture if turn is None else picture.transpose(turn)


def upright_size(stored: Image.Image) -> tuple[int, int]:
    """(width, height) of the upright picture, also before it is decoded.

    What `size` says of a TIFF depends on Pillow's version, so its tags are asked.
    """
    width, height = stored.size
    if isinstance(stored, TiffImagePlugin.TiffImageFile):
        width, height = (stored.tag_v2[side] for side in _SIDES)
        return (height, width) if stored.tag_v2.get(_ORIENTATION) in _TURNED else (width, height)
    return (height, width) if _orientation(stored) in _TURNED else (width, height)


def _orientation(stored: Image.Image) -> int:
    try:
        found = stored.getexif().get(_ORIENTATION)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # a foreign decoder's door: a block that cannot be read raises all sorts of errors
        return 1
    return found if isinstance(found, int) else 1
