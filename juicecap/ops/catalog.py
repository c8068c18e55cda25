"""Names of built-in ops and where they live: one alphabetical table of lazy references.

An op's module is imported when its name is used, never before, and nothing registers by being imported.
"""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import TYPE_CHECKING

from juicecap.errors import JuicecapError
from juicecap.notice import say_once
from juicecap.ops import registry
from juicecap.ops.elsewhere import Elsewhere, of_data_juicer
from juicecap.text import near

if TYPE_CHECKING:
    from juicecap.ops.base import Op

BUILTIN: dict[str, str] = {
    "caption_cleaning_mapper": "juicecap.ops.mapper.caption_cleaning_mapper:CaptionCleaningMapper",
    "image_caption_generator": "juicecap.ops.mapper.image_caption_generator:ImageCaptionGenerator",
    "text_length_filter": "juicecap.ops.filter.text_length_filter:TextLengthFilter",
    "video_captioning_from_vlm_mapper": "juicecap.ops.mapper.video_captioning_from_vlm_mapper:VideoCaptioningFromVLMMapper",
    "video_duration_filter": "juicecap.ops.filter.video_duration_filter:VideoDurationFilter",
    "video_resolution_filter": "juicecap.ops.filter.video_resolution_filter:VideoResolutionFilter",
    "video_to_caption_generator": "juicecap.ops.mapper.video_to_caption_generator:VideoToCaptionGenerator",
    "whitespace_normalization_mapper": "juicecap.ops.mapper.whitespace_normalization_mapper:WhitespaceNormalizationMapper",
}
"""Recipe name to `module:class`."""


class UnknownOp(JuicecapError):
    """No op has this name."""

    exit_code = 1

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    @property
    def elsewhere(self) -> Elsewhere | None:
        """What it is in Data-Juicer, if it is an op of its."""
        return of_data_juicer().get(self.name)

    @cached_property
    def near(self) -> str | None:
        """A similar name, if there is one: of an op here, or of one of Data-Juicer's."""
        return near(self.name, [*names(), *of_data_juicer()])

    @property
    def suggestion(self) -> str:
        """`did you mean …?`, and whose it is; empty if no name looks like it."""
        if self.near is None:
            return ""
        other = None if self.near in names() else of_data_juicer()[self.near]
        return f"did you mean {self.near!r}?" + (f" That is an op of Data-Juicer's; {other.answer}" if other else "")

    def __str__(self) -> str:
        if self.elsewhere:
            return f"{self.elsewhere.message}; {self.elsewhere.hint}"
        hint = f"; {self.suggestion}" if self.suggestion else ""
        return f"there is no op {self.name!r}{hint}  (juicecap ops lists all)"


def names() -> list[str]:
    """All op names, built-in, registered and offered by installed packages, in alphabetical order."""
    return sorted({*BUILTIN, *registry.registered(), *registry.entry_points()})


def find(name: str) -> type[Op]:
    """The class behind a recipe name. A built-in op wins over others, and a registered one over an installed one.

    Raises:
        UnknownOp: no op has this name.
    """
    if name in BUILTIN:
        if point := registry.entry_points().get(name):
            say_once(f"the op {name} of an installed package ({point.value}) is not used: juicecap brings one")
        return load_builtin(name)
    found = registry.registered().get(name) or registry.load_entry_point(name)
    if found is None:
        raise UnknownOp(name)
    return found


def load_builtin(name: str) -> type[Op]:
    """The class of a built-in op."""
    module, _, attribute = BUILTIN[name].partition(":")
    loaded: type[Op] = getattr(importlib.import_module(module), attribute)
    return loaded
