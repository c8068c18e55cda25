"""A strip of pictures: the first media of a result with their captions, as HTML that needs no other file.

A few small frames of each are decoded, by workers with limits as in a run. Of a medium that cannot be decoded in time only the
caption is shown, and addresses are not fetched.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape

from juicecap.data.export.writers.captioned import Captioned, Medium, caption_column, captioned_rows
from juicecap.errors import DataError, EnvironmentFailure, SampleError
from juicecap.fragment import located
from juicecap.media.encode import jpeg, thumbnail
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.workers.pool import DecodePool
from juicecap.printable import printable
from juicecap.runner.exporting.afterwards import Exported
from juicecap.sample import is_remote

ROWS, FRAMES = 5, 4
"""Media that are shown, and frames of each."""

TILE = 112
"""Pixels of the longer side of a frame."""

LONGEST = 400
"""Characters of a caption."""

SECONDS = 10.0
"""What decoding one medium may take."""

_FIGURE = (
    '<figure style="margin:.6em 0">{tiles}<figcaption style="text-align:left;max-width:60em">{caption}</figcaption></figure>'
)
_TILE = '<img alt="{alt}" title="{alt}" src="data:image/jpeg;base64,{data}" style="display:inline-block;margin:0 4px 4px 0">'


def picture_strip(result: Exported) -> str:
    """The first media of a result with their captions; empty if there are none."""
    rows = _captioned(result)
    media = [each.media[0] for each in rows]
    # In a thread: a notebook has a loop that runs already.
    with ThreadPoolExecutor(1) as thread:
        pictures = thread.submit(asyncio.run, _decoded(media, result.options.media_rules())).result()
    return "".join(_figure(each, picture) for each, picture in zip(rows, pictures, strict=True))


def _captioned(result: Exported) -> list[Captioned]:
    try:
        column = caption_column(result.dataset, None, result.roles)
        rows = captioned_rows(result.dataset.select(range(min(ROWS, len(result.dataset)))), result.roles, column)
        return [each for each in itertools.chain.from_iterable(some for _, some in rows) if each.media][:ROWS]
    except DataError:  # of rows that nothing can be shown of
        return []


async def _decoded(media: Sequence[Medium], rules: MediaLimits) -> list[MediaFrames | None]:
    pool = DecodePool(cpu_seconds=SECONDS, wall_seconds=SECONDS)

    async def frames(medium: Medium) -> MediaFrames | None:
        if is_remote(medium.path):
            return None
        try:
            path, span = located(medium.path)
            return await pool.picture(medium.kind, path, FrameSampling(num_frames=FRAMES), FrameSizes(), rules, span=span)
        except (SampleError, EnvironmentFailure):
            return None

    try:
        return await asyncio.gather(*map(frames, media))
    finally:
        await pool.close()


def _figure(row: Captioned, picture: MediaFrames | None) -> str:
    caption = " / ".join(filter(None, row.captions))
    caption = caption if len(caption) <= LONGEST else f"{caption[:LONGEST]}…"
    tiles = "".join(_tile(row, picture, number) for number in range(len(picture.pixels))) if picture else ""
    return _FIGURE.format(tiles=tiles, caption=escape(printable(caption)))


def _tile(row: Captioned, picture: MediaFrames, number: int) -> str:
    alt = f"{row.name}, {picture.times[number]:.2f} s" if picture.times else row.name
    data = base64.b64encode(jpeg(thumbnail(picture.pixels[number], TILE))).decode()
    return _TILE.format(alt=escape(printable(alt)), data=data)
