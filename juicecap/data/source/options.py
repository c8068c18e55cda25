"""Options of any source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VIDEO_SUFFIXES = (".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")

IMAGE_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".ico", ".jfif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
AUDIO_SUFFIXES = (".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav")

MOST_RECORDS = 10**12
"""The largest limit; more than any dataset has."""


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """The arguments of `open_source`, for the modules of the formats."""

    cache_folder: Path | None = None
    """Where Arrow files are cached; None is the cache of `datasets`."""

    video_key: str = "videos"
    """Column that holds the paths of videos if a source holds nothing but media."""

    image_key: str = "images"
    """As `video_key`, for pictures."""

    audio_key: str = "audios"
    """As `video_key`, for sounds."""

    suffixes: tuple[str, ...] = ()
    """What counts as a video in a folder, with or without the dot; empty means `VIDEO_SUFFIXES`."""

    limit: int | None = None
    """How many records to read at most."""

    media_max_bytes: int | None = None
    """Largest size, in bytes, of a medium in a shard that is unpacked; None: as large as there is room for."""

    keep_broken: bool = False
    """Whether records that cannot be read become rows with the reason in `sample.BROKEN`; else the first is an error."""

    @property
    def video_suffixes(self) -> tuple[str, ...]:
        """The suffixes of videos, in lower case and with their dot."""
        return tuple(f".{suffix.lower().lstrip('.')}" for suffix in self.suffixes) or VIDEO_SUFFIXES

    def is_video(self, name: str) -> bool:
        """Whether a file of this name counts as a video."""
        return name.lower().endswith(self.video_suffixes)

    def media_column(self, name: str) -> str | None:
        """The column for a file of this name, by its suffix; None if it is no medium."""
        name = name.lower()
        if name.endswith(IMAGE_SUFFIXES):
            return self.image_key
        if name.endswith(AUDIO_SUFFIXES):
            return self.audio_key
        return self.video_key if name.endswith(VIDEO_SUFFIXES) or self.is_video(name) else None
