"""Options of any source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VIDEO_SUFFIXES = (
    ".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".dv", ".f4v", ".flv", ".h264", ".h265", ".hevc", ".m1v", ".m2ts", ".m2v",
    ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
)  # fmt: skip

IMAGE_SUFFIXES = (
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".hif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
AUDIO_SUFFIXES = (".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav")

MOST_RECORDS = 10**12
"""The largest limit; more than any dataset has."""


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """The arguments of `open_source`, for the modules of the formats."""

    cache_folder: Path | None = None
    """Where Arrow files are cached; None is the cache of `datasets`."""

    media_home: Path | None = None
    """Where media that lie inside of a dataset are written; None is beside the Arrow files."""

    video_key: str = "videos"
    """Column that holds the paths of videos if a source holds nothing but media."""

    image_key: str = "images"
    """As `video_key`, for pictures."""

    audio_key: str = "audios"
    """As `video_key`, for sounds."""

    suffixes: tuple[str, ...] = ()
    """What counts as a video in a folder, with or without the dot; empty means `VIDEO_SUFFIXES`."""

    sidecar_suffixes: tuple[str, ...] = ()
    """Suffixes of the texts beside media that are read, with their dot; empty: none."""

    limit: int | None = None
    """How many records to read at most."""

    max_sample_num: int | None = None
    """How many rows are drawn of several datasets by their weights; None: all are taken."""

    seed: int = 0
    """What that draw follows from."""

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
