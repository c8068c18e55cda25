"""Pixels of one medium, with their times: what travels from the decoders to the engines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class MediaFrames:
    """Pixels for one medium of a request: uint8 array (frames, height, width, 3), upright RGB.

    `times` are seconds from the start of the video, one per frame; an image has one frame and no times. `duration` is that of
    the video in seconds; `unreadable` counts damaged packets that were passed over, and `damage` says in words what is wrong with
    the file, if anything is; `tone_mapped`: it is HDR that was made SDR; `stored_size` is the upright (width, height) that the
    medium has itself. A medium of which an engine takes the file itself has no frames.
    """

    pixels: np.ndarray
    times: tuple[float, ...] = ()
    duration: float = 0.0
    unreadable: int = 0
    damage: str = ""
    tone_mapped: bool = False
    stored_size: tuple[int, int] = (0, 0)

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        _, height, width, _ = self.pixels.shape
        return width, height


def without_frames(duration: float) -> MediaFrames:
    """What stands for a video whose file goes to the engine as it is."""
    import numpy as np

    return MediaFrames(pixels=np.empty((0, 0, 0, 3), np.uint8), duration=duration)
