"""The column names and special tokens that a recipe sets for all of its ops, and that each op may override."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from juicecap.ops.options.groups import COLUMNS
from juicecap.ops.options.types import NOT_EMPTY


@dataclass(frozen=True, kw_only=True)
class ColumnsAndTokens:
    """Names and defaults are Data-Juicer's."""

    video_key: str = field(default="videos", metadata={**COLUMNS, **NOT_EMPTY})
    """Column that holds the paths of the videos."""
    image_key: str = field(default="images", metadata={**COLUMNS, **NOT_EMPTY})
    """Column that holds the paths of the images."""
    audio_key: str = field(default="audios", metadata={**COLUMNS, **NOT_EMPTY})
    """Column that holds the paths of the audio files."""
    video_special_token: str = field(default="<__dj__video>", metadata=COLUMNS)
    """Token that stands for a video in the text."""
    image_special_token: str = field(default="<__dj__image>", metadata=COLUMNS)
    """Token that stands for an image in the text."""
    audio_special_token: str = field(default="<__dj__audio>", metadata=COLUMNS)
    """Token that stands for an audio file in the text."""
    eoc_special_token: str = field(default="<|__dj__eoc|>", metadata=COLUMNS)
    """Token that ends a chunk of the text."""

    def token_problems(self) -> list[tuple[str, str]]:
        """(parameter, sentence) for each special token that could not be distinguished from another one in a text."""
        values = {
            each.name: getattr(self, each.name) for each in fields(ColumnsAndTokens) if each.name.endswith("_special_token")
        }
        return [
            (name, f"{name} {token!r} is empty or part of another special token")
            for name, token in values.items()
            if any(token in other for key, other in values.items() if key != name)
        ]


def column_clashes(settings: object, read: Iterable[str], written: Iterable[str]) -> list[tuple[str, str]]:
    """A problem for each parameter in `written` whose column another parameter, of `read` or before it, names as well."""
    found = []
    names = {name: getattr(settings, name) for name in read}
    for name in written:
        column = getattr(settings, name)
        clash = next((other for other, taken in names.items() if column and column == taken), None)
        if clash:
            found.append((name, f"{name} and {clash} both name the column {column!r}: name another"))
        names[name] = column
    return found
