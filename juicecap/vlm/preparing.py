"""Requests are made ready for the engine: their media are decoded, or probed where the engine takes files."""

from __future__ import annotations

from functools import partial

from juicecap.errors import MediaError
from juicecap.media.picture import Picture, without_frames
from juicecap.media.remote import rules_of
from juicecap.sample import shown_path
from juicecap.vlm.base import Abilities, Outcome, Part, Prepared, Request
from juicecap.vlm.journal.entries import medium_entry
from juicecap.vlm.journal.store import Usable
from juicecap.vlm.lookup import Wanted
from juicecap.vlm.outcomes import failure_of
from juicecap.vlm.resources import WindowResources
from juicecap.vlm.shared import Hold
from juicecap.vlm.tasks import all_of

OF_THE_CONTENT = {
    "DECODER_CRASHED", "DECODE_TIMEOUT", "NO_VIDEO_STREAM", "TOO_LARGE", "TOO_NARROW", "UNDECODABLE", "UNREADABLE",
}  # fmt: skip
"""Codes of media that cannot be used because of what is in them: it will be so on every day."""


async def prepare(wanted: Wanted, abilities: Abilities, resources: WindowResources, hold: Hold) -> Prepared | Outcome:
    """The request with its media, which `hold` keeps; or the outcome, if one of them cannot be used."""
    keyed = wanted.keyed
    request = keyed.request
    unusable: _Unusable | None = None
    pictures: list[Picture] = []
    try:
        pictures = await all_of(_picture(part, request, abilities, resources, hold) for part in request.media())
    except _Unusable as caught:
        unusable = caught.with_traceback(None)  # which would hold this frame, and with it what was brought here
    for path, state in keyed.states.items():
        if not await resources.common.readers.unchanged(path, state):
            error = MediaError("MEDIA_CHANGED", f"{shown_path(path)} was changed while it was read", retryable=True)
            return Outcome(failure=failure_of(error), seed=keyed.seed)
    if unusable:
        failure, path = failure_of(unusable.error), unusable.part.value
        if failure.code in OF_THE_CONTENT:
            resources.note(medium_entry(keyed.media[unusable.part], path, failure))
        return Outcome(failure=failure, seed=keyed.seed)
    if resources.journal and resources.journal.ignores_failures:
        resources.note([Usable(key) for key in keyed.media.values()])
    known, rules = len(wanted.known.answers), resources.limits.media
    return Prepared(request=request, pictures=tuple(pictures), seed=keyed.seed, first=known, rules=rules)


async def _picture(part: Part, request: Request, abilities: Abilities, resources: WindowResources, hold: Hold) -> Picture:
    pool, rules = resources.common.pool(resources.limits), rules_of(part.value, resources.limits.media)
    try:
        if abilities.takes_files and part.kind == "video":
            info = await hold.get(("probe", part.value), partial(pool.probe, part.value, rules))
            return without_frames(info.duration)
        key = part, request.frames, abilities.sizes
        return await hold.get(key, partial(pool.picture, part.kind, part.value, request.frames, abilities.sizes, rules))
    except MediaError as error:
        raise _Unusable(part, error) from error


class _Unusable(Exception):
    """A medium of a request cannot be used."""

    def __init__(self, part: Part, error: MediaError) -> None:
        super().__init__(str(error))
        self.part, self.error = part, error
