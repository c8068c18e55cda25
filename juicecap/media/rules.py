"""What a medium may be, before anything of it is decoded: how large, from where."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self


@dataclass(frozen=True, kw_only=True)
class MediaLimits:
    """Limits of one video or image, and the places that it may come from. The defaults are those of recipes."""

    max_pixels: int = 64_000_000
    """Pixels of a picture, and of each frame."""
    max_frames: int = 10_000_000
    """Frames of a video."""
    max_seconds: float = 86_400.0
    """Duration of a video."""
    max_damage: float = field(default=0.5, metadata={"later": True})  # see `LATER` of `vlm.base`
    """Share of the frames asked for that a video may fail to give."""
    max_bytes: int = 2**36
    """Size of a file."""
    root: str = ""
    """The folder, without links in its path, that local files must lie in; empty: anywhere."""
    allow_remote: bool = False
    """Whether addresses such as https://… are fetched."""
    remote_bytes: int = 2**32
    """Size of a file that is fetched."""
    remote_seconds: float = 600.0
    """What fetching a file may take."""

    def anywhere(self) -> Self:
        """The same for files in another place, which decides what may be opened and not what is found in it."""
        return replace(self, root="")


DEFAULT_RULES = MediaLimits()
