"""What requests share: `Resources` in the process, `WindowResources` in a window, `QueueResources` in one of its queues."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from juicecap.media.rules import MediaLimits
from juicecap.media.workers.turns import Need
from juicecap.vlm.base import Limits, ModelSettings
from juicecap.vlm.journal import HeldFailures, Journal
from juicecap.vlm.journal.store import Record
from juicecap.vlm.pipeline.lookup.claims import Claims, RecentOutcomes
from juicecap.vlm.pipeline.lookup.digests import Digests
from juicecap.vlm.pipeline.lookup.single_flight import SingleFlight
from juicecap.vlm.pipeline.resources.engine_stats import EngineStats
from juicecap.vlm.pipeline.resources.ref_counted_cache import RefCountedCache
from juicecap.vlm.pipeline.sites.site import Site


class Resources:
    """What all windows share. All methods are called on the core's loop."""

    def __init__(self, local: Site) -> None:
        self.local = self.site = local
        """This machine, and the site that requests go to."""
        self.recent = RecentOutcomes()

    async def close(self) -> list[BaseException]:
        """Close engines and processes; returns what went wrong with engines."""
        errors = await self.local.close()
        return errors if self.site is self.local else [*errors, *await self.site.close()]


class WindowResources:
    """What all queues of one window share."""

    def __init__(self, common: Resources, journal: Journal | None, media_folder: Path | None = None) -> None:
        """Files that tasks write go into `media_folder`."""
        self.common, self.journal, self.media_folder = common, journal, media_folder
        self.site = common.site
        self.shared = RefCountedCache()
        """Media that several requests need."""
        self.claims = Claims()
        """Measurements that are being made."""
        self.numbers = itertools.count()
        """Numbers of measurements."""
        self._single_flights: dict[ModelSettings, SingleFlight] = {}
        self._digests: dict[MediaLimits, Digests] = {}

    def single_flight(self, settings: ModelSettings) -> SingleFlight:
        """The requests to this engine that are in progress."""
        return self._single_flights.setdefault(settings, SingleFlight())

    def digests(self, rules: MediaLimits) -> Digests:
        """The digests of media within these limits."""
        if rules not in self._digests:
            self._digests[rules] = Digests(self.site.files, rules, self.journal)
        return self._digests[rules]


class QueueResources:
    """What the pipelines of one queue share. `held` keeps the failures of its requests from the journal for a time.

    `place` is that of the op in its stream: the further downstream, the more is what it asks needed.
    """

    def __init__(
        self, window: WindowResources, limits: Limits, stats: EngineStats, held: HeldFailures | None, place: int = 0
    ) -> None:
        self.limits, self.stats, self._held, self._place = limits, stats, held, place
        self.common, self.journal, self.media_folder = window.common, window.journal, window.media_folder
        self.site = window.site
        self.claims, self._numbers = window.claims, window.numbers
        self.shared, self.single_flight = window.shared, window.single_flight
        self.digests = window.digests(limits.media)
        self.seen = window.journal.seen if window.journal else None
        """The answers that the run has met; without a journal none is met twice."""

    def next_need(self) -> Need:
        """How much the next measurement is needed: after frames for an engine, those of later ops first, then the earlier one."""
        return (1, -self._place, next(self._numbers))

    def record(self, records: Sequence[Record]) -> None:
        """Write records to the journal, if there is one."""
        if self.journal:
            self.journal.append(records, self._held)
