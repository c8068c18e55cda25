"""The columns of an export as a recipe writes them: a column of the dataset by its name, all else by what it is."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from juicecap.data.export.settings import MEASURES
from juicecap.sample import short_repr
from juicecap.text import near

MEDIA = (True, "video", "image", "name", "kind")
"""What `media` may be: the path of the medium, that of a video or an image alone, the file's name, the word video or image."""


class Column(NamedTuple):
    """What a column holds."""

    kind: Literal["column", "caption", "media", "measure", "const"]
    value: Any


def column_of(written: Any) -> Column:
    """A column as it is written: `caption`, `{media: true}`, `{caption: true}`, `{measure: fps}`, `{const: video}`.

    Raises:
        ValueError: it is none; the message is the rest of a sentence.
    """
    if isinstance(written, str) and written.strip():
        return Column("column", written)
    if not isinstance(written, dict) or len(written) != 1:
        what = "must be a column's name or one of {media: true}, {caption: true}, {measure: fps}, {const: video}"
        raise ValueError(f"{what}, not {short_repr(written)}")
    ((kind, value),) = written.items()
    if kind == "const":
        return Column("const", value)
    if kind == "caption" and value is True:
        return Column("caption", value)
    if kind == "media" and any(value is each or (isinstance(each, str) and value == each) for each in MEDIA):
        return Column("media", value)
    if kind == "measure" and value in MEASURES:
        return Column("measure", value)
    known = {"media": "true, video, image, name or kind", "caption": "true", "measure": ", ".join(MEASURES)}
    if kind in known:
        close = near(value, MEASURES) if kind == "measure" else None
        raise ValueError(
            f"has {kind}: {short_repr(value)}; it must be {known[kind]}{f'. Did you mean {close}?' if close else ''}"
        )
    raise ValueError(f"has {short_repr(kind)}; it must be media, caption, measure or const")
