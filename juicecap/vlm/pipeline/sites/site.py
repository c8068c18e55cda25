"""What a site is: it is near the media, where digests, measurements, decoding and generation happen.

The driver keeps recipe, window, batches, cache lookup, journal and tables. It sends a site paths and questions, never pixels, and
gets outcomes. This machine is a site (`local_site.py`); so are the nodes of a cluster (`vlm/cluster`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from juicecap.media.access.remote import Fetched
from juicecap.media.rules import MediaLimits
from juicecap.media.tasks.task import Task, Work
from juicecap.media.workers.turns import FOR_ENGINE, Need
from juicecap.vlm.base import Capabilities, Limits, ModelSettings, Outcome, Part, Request
from juicecap.vlm.lessons import Lessons
from juicecap.vlm.pipeline.lookup.digests import Digest, FileReaders
from juicecap.vlm.pipeline.lookup.legacy_engine import LegacyEngine
from juicecap.vlm.pipeline.resources.ref_counted_cache import Lease, RefCountedCache


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is known of an engine that need not be open (`vlm.base.Backend`), wherever it is."""

    identity: str
    capabilities: Capabilities
    transport_choice: str = ""
    lessons: Lessons = field(default_factory=Lessons)
    """What is learnt while it answers; the driver's own."""
    revision: str = ""
    """The `folder_revision` of a local model, which is noticed whatever the backend says of itself."""
    facts: str = ""
    """What is told of it beside its answers (`vlm.engine_facts`)."""


@dataclass(frozen=True, kw_only=True)
class SiteRequest:
    """A request as it goes to a site. Candidates before `first` are known; `files` are its media as they were digested."""

    request: Request
    seed: int
    first: int
    files: Mapping[str, Digest]


@dataclass(frozen=True, kw_only=True)
class Served:
    """What became of a request at a site."""

    outcome: Outcome
    was_asked: bool = True
    """Whether the engine was asked: its media could be used."""
    unusable: Part | None = None
    """The medium that cannot be used, if one of them is to blame."""


class Watcher(Protocol):
    """Who waits for the outcomes of a batch."""

    def calling(self, requests: int) -> AbstractContextManager[None]:
        """A block during which an engine works on this many requests."""

    def settled(self, index: int, served: Served) -> None:
        """A request of the batch needs no engine: its media cannot be used. May be called before the others are answered."""


class Place(Protocol):
    """The place of a batch that was let in."""

    async def serve(self, batch: Sequence[SiteRequest], watcher: Watcher) -> list[Served | None]:
        """What became of the requests, in order; None for those that the watcher was called with.

        Raises:
            EnvironmentFailure: the engine is gone for good.
            ModelError: it turns out that it can never answer.
        """

    def leave(self) -> None:
        """The batch is done, or was given up."""


class SiteEngine(Protocol):
    """An open engine at one or several sites."""

    async def admit(self, requests: int) -> Place:
        """Wait until there is room for a batch of this many requests."""


class Measurer(Protocol):
    """Measures media (`media.workers.pool.DecodePool`)."""

    @property
    def workers(self) -> int:
        """How many measurements are made side by side."""

    async def measure(
        self, task: Task, work: Work, rules: MediaLimits, *, seconds: float = 0.0, target: str = "", need: Need = FOR_ENGINE
    ) -> Any:
        """The value of a task for a medium."""

    async def measure_several(
        self, task: Task, works: Sequence[Work], rules: MediaLimits, *, need: Need = FOR_ENGINE
    ) -> list[Any]:
        """The values of a brief task for several media; a `MediaError` in the place of one that fails."""


class Site(Protocol):
    """See the module's docstring. All methods are called on the core's loop."""

    @property
    def files(self) -> FileReaders:
        """What tells media apart."""

    @property
    def width(self) -> int:
        """How many engines answer side by side at most."""

    def expect(self, request: Request) -> None:
        """Know what an engine is going to be asked, if it is not described yet: the first such request counts."""

    def measurer(self, limits: Limits) -> Measurer:
        """What measures within these limits."""

    async def brought(self, files: Iterable[Part], rules: MediaLimits, hold: Lease) -> list[Fetched]:
        """The remote ones among these files, as far as they are brought here before they are digested; `hold` keeps them."""

    async def described(self, settings: ModelSettings, transport_choice: str = "") -> Description:
        """The engine with these settings. `transport_choice` is used if it has not been described yet.

        Raises:
            JuicecapError: it cannot be described; the next caller tries again.
        """

    async def legacy(self, settings: ModelSettings) -> LegacyEngine:
        """The engine with these settings as versions before described it.

        Raises:
            JuicecapError: as `described`.
        """

    async def opened(self, settings: ModelSettings, limits: Limits, size: int, shared: RefCountedCache) -> SiteEngine:
        """The engine with these settings, open, for batches of at most `size` requests. `shared` keeps media of several requests.

        Raises:
            JuicecapError: it cannot be opened; the next caller tries again.
        """

    async def close_engines(self, but: Collection[ModelSettings] = ()) -> list[BaseException]:
        """Close all engines `but` these; returns what went wrong."""

    async def close(self) -> list[BaseException]:
        """Close engines and processes; returns what went wrong with engines."""
