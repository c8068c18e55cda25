"""The size of a picture, without decoding it."""

from __future__ import annotations

from juicecap.media.image import image_size
from juicecap.media.tasks.medium import Medium


def picture_size(medium: Medium) -> list[int]:
    """Width and height of an image as it is shown.

    Raises:
        MediaError: as `image_size`.
    """
    return list(image_size(medium.path, rules=medium.rules))
