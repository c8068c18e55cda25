"""Clean datasets: no hidden column, and absolute paths of media, so that whatever is written from one can be read anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from juicecap.data.export.media_paths import with_paths
from juicecap.data.remembered import without_origins
from juicecap.data.source.options import SourceOptions

if TYPE_CHECKING:
    from datasets import Dataset

MEDIA = ("videos", "images", "audios", "video", "image", "audio")
"""Columns that hold paths of media by the names that Data-Juicer and DataFlow have for them."""

CONVERSATIONS = ("conversation", "conversations", "messages")
"""Columns whose parts name media."""


def cleaned(dataset: Dataset, options: SourceOptions) -> Dataset:
    """The dataset without the hidden column, with absolute paths."""
    media = {*MEDIA, options.video_key, options.image_key, options.audio_key}
    return without_origins(with_paths(dataset, media, CONVERSATIONS, Path(), "absolute", options.cache_folder))
