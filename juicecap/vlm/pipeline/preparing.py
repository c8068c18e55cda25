"""Prepares requests for the engine: their media are decoded, or probed if the engine takes files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from juicecap.errors import MediaError, SampleError
from juicecap.media.access.remote import rules_of
from juicecap.media.picture import MediaFrames, without_frames
from juicecap.notice import say_first
from juicecap.sample import display_path
from juicecap.vlm.base import Capabilities, Limits, Outcome, Part, Prepared, Request
from juicecap.vlm.outcomes import failure_of
from juicecap.vlm.pipeline.lookup.digests import FileReaders
from juicecap.vlm.pipeline.resources.frame_budget import FrameBudget
from juicecap.vlm.pipeline.resources.ref_counted_cache import Lease
from juicecap.vlm.pipeline.sites.site import Served, SiteRequest
from juicecap.vlm.pipeline.tasks import all_of

if TYPE_CHECKING:
    from juicecap.media.workers.pool import DecodePool

MOST_OF_THE_LIMIT = 4
"""How many times the limit of frames in memory those of one request with several media may take: half of the machine's memory."""

AT_ONCE = 16
"""Media of one request that are decoded at once."""

OF_THE_CONTENT = {
    "BEHIND_THE_END", "DAMAGED", "DECODER_CRASHED", "DECODE_TIMEOUT", "ENCRYPTED", "NO_VIDEO_STREAM", "SIZES_DIFFER", "TOO_LARGE",
    "TOO_NARROW", "UNDECODABLE", "UNREADABLE",
}  # fmt: skip
"""Codes of media that cannot be used because of their content, so permanently."""


@dataclass(frozen=True)
class Surroundings:
    """What of a site preparing needs."""

    files: FileReaders
    pool: DecodePool
    memory: FrameBudget
    limits: Limits


async def prepare(asked: SiteRequest, capabilities: Capabilities, here: Surroundings, hold: Lease) -> Prepared | Served:
    """The request with its media, which `hold` keeps; or what became of it, if one of them cannot be used."""
    request = asked.request
    unusable: _Unusable | None = None
    pictures: list[MediaFrames] = []
    try:
        pictures = await _pictures(request, capabilities, here, hold)
    except _Unusable as caught:
        unusable = caught.with_traceback(None)  # its traceback would keep this frame alive, and with it downloaded files
    except MediaError as too_large:
        return _failed(asked, too_large)
    for file in request.files():
        if not await here.files.unchanged(file, asked.files[file.value]):
            changed = f"{display_path(file.value)} was changed while it was read"
            return _failed(asked, MediaError("MEDIA_CHANGED", changed, retryable=True))
    if unusable:
        return _failed(asked, unusable.error, unusable.part)
    limits = here.limits
    return Prepared(
        request=request,
        pictures=tuple(pictures),
        seed=asked.seed,
        first=asked.first,
        rules=limits.media,
        in_flight=limits.in_flight,
    )


def _failed(asked: SiteRequest, error: SampleError, part: Part | None = None) -> Served:
    return Served(outcome=Outcome(failure=failure_of(error), seed=asked.seed), was_asked=False, unusable=part)


async def _pictures(request: Request, capabilities: Capabilities, here: Surroundings, hold: Lease) -> list[MediaFrames]:
    """The media of a request, a few at a time: a row of the dataset may name any number of them.

    Raises:
        _Unusable: one of them cannot be used.
        MediaError: `TOO_LARGE`: they do not fit into memory together.
    """
    parts, pictures = request.media(), list[MediaFrames]()
    most = MOST_OF_THE_LIMIT * here.memory.limit
    for start in range(0, len(parts), AT_ONCE):
        pictures += await all_of(_picture(part, request, capabilities, here, hold) for part in parts[start : start + AT_ONCE])
        if len(parts) > 1 and sum(picture.pixels.nbytes for picture in pictures) > most:
            what = f"the frames of {len(parts):,} media take more than {most >> 20:,} MB together"
            way = "show fewer media, frames or pixels at once, or raise frame_memory_mb, of which that is four times"
            raise MediaError("TOO_LARGE", f"{what}: {way}", retryable=True)
    return pictures


async def _picture(part: Part, request: Request, capabilities: Capabilities, here: Surroundings, hold: Lease) -> MediaFrames:
    pool, rules = here.pool, rules_of(part.value, here.limits.media)
    frames, sizes = request.frames_of(part), capabilities.sizes
    try:
        if capabilities.takes_files and part.kind == "video":
            probe = partial(pool.probe, part.value, rules, pictures=part.pictures, picture_fps=frames.picture_fps, span=part.span)
            info = await hold.get(("probe", part, frames.picture_fps, rules), probe)
            return without_frames(info.duration)
        work = partial(pool.picture, part.kind, part.value, frames, sizes, rules, part.pictures, part.span)
        picture = await hold.get((part, frames, sizes, rules), work)
    except MediaError as error:
        raise _Unusable(part, error) from error
    if sizes.reduces_unasked(part.kind, frames):
        _say_reduced(part.value, picture)
    return picture


def _say_reduced(path: str, picture: MediaFrames) -> None:
    height, width = picture.pixels.shape[1:3]
    if width * height < math.prod(picture.stored_size):
        sizes = f"{width}x{height} instead of {'x'.join(map(str, picture.stored_size))}"
        say_first(
            "reductions",
            f"{display_path(path)} is shown to the model as {sizes}, and other large pictures are made smaller as well: to one "
            "megapixel, since the sizes that this model takes are not known here. max_pixels sets another limit, and "
            "max_pixels: none shows them as they are",
        )


class _Unusable(Exception):
    """A medium of a request cannot be used."""

    def __init__(self, part: Part, error: MediaError) -> None:
        super().__init__(str(error))
        self.part, self.error = part, error
