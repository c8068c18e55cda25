"""Reads the headers of the media of scanned rows, as many as there is time for, in decode workers.

A header tells what cannot be opened, holds no picture, is too large, or ends early. Not covered: damage that only decoding shows,
and media that are downloaded or lie in shards or tables.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from juicecap.errors import MediaError, SampleError
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import PICTURE_FPS
from juicecap.ops.base import Op
from juicecap.ops.options.media_options import MediaOptions
from juicecap.sample import Sample, display_path
from juicecap.vlm.base import Part
from juicecap.vlm.measurement import Ask, Measurement

if TYPE_CHECKING:
    from juicecap.media.workers.pool import DecodePool

MEDIA_SECONDS = 1.0
"""Seconds in which headers are read, from the first one on."""

START_SECONDS = 10.0
"""Seconds that workers may take to start and to read the first header."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The header of a medium that an op is going to read."""

    ask: Measurement
    rules: MediaLimits


@dataclass(frozen=True, kw_only=True)
class BrokenMedium:
    """A medium that a run would reject."""

    source: str
    """The first row that names it."""
    code: str
    """As in `rejected.jsonl`."""
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.code}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class ProbedMedia:
    """How many media were looked into, of how many in the scanned rows, and which of them are broken, in the order of rows."""

    looked_into: int
    media: int
    broken: tuple[BrokenMedium, ...]


class MediaProbe:
    """Collects media as a scan meets them, and reads their headers afterwards, each once."""

    def __init__(self) -> None:
        self._wanted: dict[Probe, str] = {}

    def see(self, op: Op, sample: Sample, where: str) -> None:
        """Note the media on this machine that an op would read of a sample, which stands at this place."""
        for probe in _probes_of(op, sample):
            self._wanted.setdefault(probe, where)

    def read(self, seconds: float = MEDIA_SECONDS) -> ProbedMedia:
        """Read headers for `seconds`, in the order of the rows.

        Raises:
            EnvironmentFailure: no worker can be started.
        """
        wanted = self._wanted
        found = asyncio.run(_probed(wanted, seconds)) if wanted else {}
        broken = [(wanted[probe], error) for probe in wanted if (error := found.get(probe))]
        return ProbedMedia(
            looked_into=len(found),
            media=len(wanted),
            broken=tuple(BrokenMedium(source=row, code=error.code, message=error.message) for row, error in broken),
        )


def _probes_of(op: Op, sample: Sample) -> list[Probe]:
    """The headers of the media of a sample; none where the op refuses it."""
    if not isinstance(op, MediaOptions):
        return []
    try:
        asked = op.requests(sample)
        rules = op.media_rules()
        asks = [header for ask in asked for header in _headers(ask)]
    except SampleError:
        return []
    return [Probe(ask=ask, rules=rules) for ask in asks if os.path.exists(ask.medium.value)]


def _headers(ask: Ask) -> list[Measurement]:
    if isinstance(ask, Measurement):
        return [Measurement.of_medium(ask.medium, json.loads(ask.params).get("picture_fps", PICTURE_FPS))]
    return [Measurement.of_medium(part, ask.frames_of(part).picture_fps) for part in ask.media()]


async def _probed(wanted: Iterable[Probe], seconds: float) -> dict[Probe, MediaError | None]:
    """What was found in time: why a medium cannot be used, or None for one that can."""
    from juicecap.media.workers.pool import DecodePool

    found: dict[Probe, MediaError | None] = {}
    pool, waiting = DecodePool(), iter(wanted)
    loop = asyncio.get_running_loop()

    async def work(limit: asyncio.Timeout) -> None:
        for probe in waiting:
            error = await _fault(probe, pool)
            if not found:
                limit.reschedule(loop.time() + seconds)
            found[probe] = error

    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS) as limit:
                await asyncio.gather(*(work(limit) for _ in range(pool.workers)))
    finally:
        await pool.close()
    return found


async def _fault(probe: Probe, pool: DecodePool) -> MediaError | None:
    ask = probe.ask
    try:
        value = await pool.measure(ask.task, ask.work(), probe.rules)
    except MediaError as error:
        return error
    return _cut_off(ask.medium, value, probe.rules) if isinstance(value, dict) else None


def _cut_off(part: Part, header: Mapping[str, float], rules: MediaLimits) -> MediaError | None:
    """The error of a film that lacks more of its end than the rules allow."""
    if not header["missing"]:
        return None
    share = header["missing"] / (header["duration"] + header["missing"])
    if share <= rules.max_damage:
        return None
    why = f"{share:.0%} of its frames are missing at the end, more than {rules.max_damage:.0%} (media_max_damage)"
    return MediaError("DAMAGED", f"{display_path(part.value)} is damaged: {why}")
