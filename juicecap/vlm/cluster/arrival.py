"""Requests as they arrive at a node: media that lie elsewhere are brought there, and outcomes name their addresses again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from juicecap.errors import SampleError
from juicecap.media.access.remote import Fetched
from juicecap.media.rules import MediaLimits
from juicecap.vlm.base import Outcome
from juicecap.vlm.outcomes import failure_of
from juicecap.vlm.pipeline.resources.ref_counted_cache import Lease
from juicecap.vlm.pipeline.sites.local_engine import LocalEngine
from juicecap.vlm.pipeline.sites.local_site import LocalSite
from juicecap.vlm.pipeline.sites.site import Served, SiteRequest


@dataclass(frozen=True)
class _Arrived:
    """A request with its media on this node, and those that were brought."""

    asked: SiteRequest
    brought: Sequence[Fetched]

    def named(self, served: Served) -> Served:
        """What became of it, with addresses in place of temporary files."""
        failure, part = served.outcome.failure, served.unusable
        for each in self.brought:
            if failure:
                failure = replace(failure, message=each.renamed(failure.message))
        addresses = {each.path: each.url for each in self.brought}
        return replace(
            served, outcome=replace(served.outcome, failure=failure), unusable=part.at(addresses) if part and addresses else part
        )


async def served_here(
    site: LocalSite, engine: LocalEngine, batch: Sequence[SiteRequest], rules: MediaLimits, hold: Lease
) -> list[Served]:
    """What becomes of a batch at this node; `hold` keeps what is brought.

    Raises:
        EnvironmentFailure, ModelError: as `Place.serve`.
    """
    arrived = [await _arrived(site, asked, rules, hold) for asked in batch]
    here = [each for each in arrived if isinstance(each, _Arrived)]
    watcher = _Early()
    place = await engine.admit(len(here))
    try:
        served = await place.serve([each.asked for each in here], watcher)
    finally:
        place.leave()
    found = iter([each or watcher.served[index] for index, each in enumerate(served)])
    return [each.named(next(found)) if isinstance(each, _Arrived) else each for each in arrived]


async def _arrived(site: LocalSite, asked: SiteRequest, rules: MediaLimits, hold: Lease) -> _Arrived | Served:
    try:
        brought = await site.brought(asked.request.files(), rules, hold)
    except SampleError as error:
        return Served(outcome=Outcome(failure=failure_of(error), seed=asked.seed), was_asked=False)
    if not brought:
        return _Arrived(asked, ())
    paths = {each.url: each.path for each in brought}
    files = {paths.get(path, path): digest for path, digest in asked.files.items()}
    return _Arrived(replace(asked, request=asked.request.with_media(paths), files=files), brought)


class _Early:
    """Keeps what needs no engine (`Watcher`)."""

    def __init__(self) -> None:
        self.served: dict[int, Served] = {}

    def calling(self, requests: int) -> AbstractContextManager[None]:
        """See `Watcher`: the driver counts."""
        del requests
        return nullcontext()

    def settled(self, index: int, served: Served) -> None:
        """See `Watcher`."""
        self.served[index] = served
