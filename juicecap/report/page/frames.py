"""The media of a sample as its models saw them: a strip of frames for each, every frame with its time."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from juicecap.errors import MediaError
from juicecap.media.encode import jpeg, thumbnail
from juicecap.media.picture import MediaFrames
from juicecap.report.page.html import Element, element, foreign
from juicecap.report.words import plural
from juicecap.runner.estimate.preview import RequestPreview
from juicecap.sample import display_path
from juicecap.vlm.base import Part

SIDES = ((300, 640), (1500, 320))
"""Pixels of the longer side of a frame, at most, on a page with so many frames, so that a browser can hold it."""

SMALLEST = 160
"""The same for a page with more frames."""

QUALITY = 85

Medium = tuple[Part, MediaFrames | MediaError]


def side_of(frames: int) -> int:
    """Pixels of the longer side of each frame, for a page with this many frames."""
    return next((side for most, side in SIDES if frames <= most), SMALLEST)


def media_seen(questions: Iterable[RequestPreview]) -> list[Medium]:
    """The different media of the questions: a film of which two ops saw the same frames is there once."""
    found: dict[tuple[object, ...], Medium] = {}
    for question in questions:
        for part, picture in question.seen:
            found.setdefault(_identity(part, picture), (part, picture))
    return list(found.values())


def strip(part: Part, picture: MediaFrames | MediaError, side: int) -> Element:
    """A medium with its frames, or why there are none."""
    name = short_name(part)
    if isinstance(picture, MediaError):
        facts: Element | None = element("p", f"cannot be shown ({picture.code})", class_="bad")
        frames = None
    else:
        facts = element("p", _facts(picture), class_="facts")
        frames = element("ul", *_frames(name, picture, side), class_="frames") if len(picture.pixels) else None
    damage = picture.damage if isinstance(picture, MediaFrames) else ""
    caption = element("figcaption", foreign("span", name, class_="name", title=display_path(part.label)), facts)
    return element("figure", caption, frames, foreign("p", damage, class_="bad") if damage else None, class_="strip")


def short_name(part: Part) -> str:
    """What a medium is called on the page: the end of its path, with what of it was shown."""
    return display_path(part.label).removeprefix(f"{part.value.rpartition('/')[0]}/")


def _facts(picture: MediaFrames) -> str:
    """Number, size and rate of the frames, and what the medium itself is."""
    count = len(picture.pixels)
    length = f"{picture.duration:.1f} s" if picture.duration else ""
    if not count:
        return " · ".join(filter(None, ("sent as a file", length)))
    height, width = picture.pixels.shape[1:3]
    if not picture.times:
        return f"{width}x{height}"
    span = picture.times[-1] - picture.times[0]
    rate = f"{(count - 1) / span:.3g} a second" if span > 0 else ""
    return " · ".join(filter(None, (f"{plural(count, 'frame')} of {width}x{height}", rate, length)))


def _identity(part: Part, picture: MediaFrames | MediaError) -> tuple[object, ...]:
    seen = str(picture) if isinstance(picture, MediaError) else (picture.times, picture.pixels.shape)
    return (part.kind, part.label, part.pictures, seen)


def _frames(name: str, picture: MediaFrames, side: int) -> Iterator[Element]:
    count = len(picture.pixels)
    for number, pixels in enumerate(picture.pixels):
        time = f"{picture.times[number]:.2f} s" if picture.times else ""
        what = f"Frame {number + 1} of {count}, at {time}, {name}" if time else name
        data = base64.b64encode(jpeg(thumbnail(pixels, side), QUALITY)).decode()
        height, width = pixels.shape[:2]
        image = element("img", alt=what, src=f"data:image/jpeg;base64,{data}", width=str(width), height=str(height))
        label = element("span", time, aria_hidden="true") if time else None
        yield element("li", element("button", image, label, type="button", aria_haspopup="dialog"))
