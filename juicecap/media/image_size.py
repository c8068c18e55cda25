"""How large a picture is, from its header alone."""

from __future__ import annotations

from PIL import Image

from juicecap.errors import MediaError
from juicecap.media.files import check_file

_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values for pictures that lie on their side."""


def image_size(path: str) -> tuple[int, int]:
    """(width, height) of the upright picture.

    Raises:
        MediaError: as `read_image`, as far as the header tells.
    """
    check_file(path)
    try:
        with Image.open(path) as stored:
            turned = stored.getexif().get(_ORIENTATION) in _TURNED
            return stored.size[::-1] if turned else stored.size
    except Exception as error:  # a foreign decoder's door: Pillow's plugins raise all sorts of errors on damaged data
        raise MediaError("UNREADABLE", f"{path} is not a picture that can be read") from error
