"""What a caller may ask of any source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VIDEO_SUFFIXES = (".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The arguments of `open_source`, for the modules of the formats."""

    cache_folder: Path | None = None
    """Where Arrow files are kept; None is the cache of `datasets`."""

    video_key: str = "videos"
    """Column that holds the paths where the source is a folder."""

    suffixes: tuple[str, ...] = ()
    """What counts as a video in a folder, with or without the dot; empty means `VIDEO_SUFFIXES`."""

    limit: int | None = None
    """How many records to read at most."""

    @property
    def video_suffixes(self) -> tuple[str, ...]:
        """The suffixes of videos, in lower case and with their dot."""
        return tuple(f".{suffix.lower().lstrip('.')}" for suffix in self.suffixes) or VIDEO_SUFFIXES

    def is_video(self, name: str) -> bool:
        """Whether a file of this name counts as a video."""
        return name.lower().endswith(self.video_suffixes)
