"""The tasks that juicecap brings, in alphabetical order. Nothing of them is imported here: workers do that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from juicecap.media.tasks.task import Task

_HEADER: Mapping[str, tuple[type, ...]] = {
    "duration": (int, float),
    "fps": (int, float),
    "width": (int,),
    "height": (int,),
    "frames": (int, type(None)),
    "codec": (str,),
    "rotation": (int,),
    "mirrored": (bool,),
    "missing": (int, float),
    "cut_off": (bool,),
    "jumps": (bool,),
}
"""The fields of a `VideoInfo`, with their types."""


def is_header(value: Any) -> bool:
    """Whether a value has the shape of a header."""
    if not isinstance(value, dict) or value.keys() != _HEADER.keys():
        return False
    return all(type(value[name]) in kinds for name, kinds in _HEADER.items())


def is_size(value: Any) -> bool:
    """Whether a value has the shape of a picture's size."""
    return isinstance(value, list) and len(value) == 2 and all(type(side) is int and side > 0 for side in value)  # noqa: PLR2004


def is_clip(value: Any) -> bool:
    """Whether a value has the shape of what is known of a clip that was cut."""
    if not isinstance(value, dict) or value.keys() != {"seconds", "bytes", "copied"}:
        return False
    return type(value["seconds"]) in (int, float) and type(value["bytes"]) is int and type(value["copied"]) is bool


CUT = Task(name="cut", function="juicecap.media.tasks.cut:cut", cost=2.0, long=True, writes=".mp4", accepts=is_clip)
"""A part of a film as a file of its own; the outcome has its `path`, `seconds`, `bytes`, and whether it was `copied`.

Parameter: `copy`, whether nothing is encoded anew if the part begins and ends with key frames.
"""

FRAMES = Task(
    name="frames",
    function="juicecap.media.tasks.frames:frames",
    known_by="state",
    cost=0.05,
    accepts=lambda value: type(value) is int,
)
"""How many frames of a video, or of a part of it, are shown, counted by its packets. Parameter: `picture_fps`."""

HEADER = Task(name="header", function="juicecap.media.tasks.header:header", known_by="state", brief=True, accepts=is_header)
"""The facts of a video's header (`VideoInfo`), or of a part of it. Parameter: `picture_fps`."""

PICTURE_SIZE = Task(
    name="picture_size",
    function="juicecap.media.tasks.picture_size:picture_size",
    known_by="state",
    brief=True,
    accepts=is_size,
)
"""Width and height of an image."""
