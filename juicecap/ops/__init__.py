"""The ops, for use from Python: `from juicecap.ops import VideoCaptioningFromVLMMapper`.

Classes are imported when they are first used; `catalog` has the table. Their docstrings have the parameters in groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from juicecap.ops.catalog import BUILTIN, find, load_builtin, names

if TYPE_CHECKING:
    from juicecap.ops.filter.text_length_filter import TextLengthFilter
    from juicecap.ops.filter.video_duration_filter import VideoDurationFilter
    from juicecap.ops.filter.video_resolution_filter import VideoResolutionFilter
    from juicecap.ops.mapper.caption_cleaning_mapper import CaptionCleaningMapper
    from juicecap.ops.mapper.image_caption_generator import ImageCaptionGenerator
    from juicecap.ops.mapper.video_captioning_from_vlm_mapper import VideoCaptioningFromVLMMapper
    from juicecap.ops.mapper.video_to_caption_generator import VideoToCaptionGenerator
    from juicecap.ops.mapper.whitespace_normalization_mapper import WhitespaceNormalizationMapper

_CLASSES = {reference.partition(":")[2]: name for name, reference in BUILTIN.items()}

__all__ = [  # the catalog's classes (checked by a test) and the lookup by name
    "CaptionCleaningMapper",
    "ImageCaptionGenerator",
    "TextLengthFilter",
    "VideoCaptioningFromVLMMapper",
    "VideoDurationFilter",
    "VideoResolutionFilter",
    "VideoToCaptionGenerator",
    "WhitespaceNormalizationMapper",
    "find",
    "names",
]


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        from juicecap.ops.docstrings import document

        return document(load_builtin(_CLASSES[name]))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
