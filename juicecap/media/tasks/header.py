"""The facts about a video that its header tells."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from juicecap.media.sampling import PICTURE_FPS
from juicecap.media.tasks.medium import Medium


def header(medium: Medium, *, picture_fps: float = PICTURE_FPS) -> dict[str, Any]:
    """The fields of the video's `VideoInfo`. A folder of pictures is a film with `picture_fps` of them in a second.

    Raises:
        MediaError: as `video_info`.
    """
    return asdict(medium.info(picture_fps))
