"""What a request is known by: the digests of its media, its key and seed, and the keys under which a journal keeps it.

Reading media for their digests is what costs here. It is done ahead of the engine, and not at all for a file that the journal
has a digest of and that has not been touched since (`media/digest.py` says when that can be told).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Protocol

from juicecap.media.digest import FileState
from juicecap.media.remote import rules_of
from juicecap.media.rules import MediaRules
from juicecap.vlm.base import KEPT, Abilities, Backend, Limits, ModelSettings, Outcome, Part, Request, digest_of
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.entries import Look, medium_failure, outcome_of
from juicecap.vlm.journal.store import Fact, SeenFile
from juicecap.vlm.shared import Hold

MOST_REMEMBERED = 4096
"""Digests that are kept in memory, for clips that many samples ask about."""


@dataclass(frozen=True)
class Digest:
    """The digest of a medium, and the state of its file when it was taken."""

    digest: str
    state: FileState


@dataclass(frozen=True, kw_only=True)
class Keyed:
    """A request with what it is known by."""

    request: Request
    entry: str
    """The journal's key of its answers."""
    media: Mapping[Part, str]
    """The journal's key of each medium, for media that cannot be used."""
    seed: int
    states: Mapping[str, FileState]
    """The media's files when they were digested."""

    @property
    def kept_under(self) -> tuple[str, ...]:
        """All keys under which the journal may know something."""
        return (self.entry, *self.media.values())

    def known(self, look: Look) -> Outcome:
        """As much of the outcome as the journal knows: answers up to the first that is missing, or a failure."""
        for part, key in self.media.items():
            if failure := medium_failure(look.get(key, {}), part.value):
                return Outcome(failure=failure, seed=self.seed)
        return outcome_of(look.get(self.entry, {}), self.seed, self.request.candidates)


@dataclass(frozen=True)
class Identified:
    """An engine that can be looked up, open or not. `pin` is its choice (`Backend.identify`)."""

    backend: Backend
    pin: str
    model_state: str
    """A digest of a local model's files by name, size and time."""


class Files(Protocol):
    """What this module takes from the core."""

    async def identified(self, settings: ModelSettings, pin: str = "") -> Identified:
        """See `core.Core`."""

    async def states(self, paths: Collection[str], rules: MediaRules) -> dict[str, FileState | None]:
        """See `core.Core`."""

    async def digest(self, path: str, rules: MediaRules) -> tuple[str, FileState]:
        """See `core.Core`."""


class Keys:
    """Keys of requests to one engine."""

    def __init__(self, files: Files, engine: Identified, limits: Limits, journal: Journal | None) -> None:
        self._files, self._engine, self._journal = files, engine, journal
        abilities = engine.backend.abilities()
        self._reading = (asdict(abilities.sizes), abilities.takes_files, limits.decode_seconds, asdict(limits.media))
        self._rules = limits.media
        self._remembered: dict[str, SeenFile] = {}

    @classmethod
    async def of(cls, files: Files, settings: ModelSettings, limits: Limits, journal: Journal | None) -> Keys:
        """Identify the engine; a choice that the journal knows of is kept, and one that it does not know is written down."""
        if journal is None:
            return cls(files, await files.identified(settings), limits, None)
        name = digest_of(["pin", settings.backend, settings.model, settings.params, settings.api_base])
        pin = await asyncio.wrap_future(journal.fact(name))
        engine = await files.identified(settings, pin)
        if engine.pin != pin:
            journal.note([Fact(name, engine.pin)])
        return cls(files, engine, limits, journal)

    @property
    def abilities(self) -> Abilities:
        """What the engine wants."""
        return self._engine.backend.abilities()

    async def recalled(self, requests: Iterable[Request], *, reread: bool = False) -> dict[str, Digest]:
        """The digests of these requests' media, as far as they are known without reading a file.

        With `reread` files are read of which there is a record that cannot be trusted.
        """
        paths = {part.value for request in requests for part in request.media()}
        states = await self._files.states(paths, self._rules)
        seen = {path: self._remembered[path] for path in paths if path in self._remembered}
        if self._journal:
            names = {_name(path): path for path in paths if path not in seen}
            kept = await asyncio.wrap_future(self._journal.seen(list(names)))
            seen |= {names[name]: file for name, file in kept.items()}
        digests: dict[str, Digest] = {}
        for path, file in seen.items():
            if (state := states[path]) and state == FileState(*file[1:5]) and state.tells(file.seen):
                digests[path] = Digest(file.digest, state)
        if reread:
            doubtful = [path for path in seen if path not in digests]
            read = await asyncio.gather(*map(self._read, doubtful), return_exceptions=True)
            digests |= {path: each for path, each in zip(doubtful, read, strict=True) if isinstance(each, Digest)}
        return digests

    async def keyed(self, request: Request, recalled: Mapping[str, Digest], hold: Hold) -> Keyed:
        """The request with its keys; media that are not among `recalled` are read.

        Raises:
            MediaError: one of them cannot be read.
        """
        digests = dict(recalled)
        for part in request.media():
            if part.value not in digests:
                digests[part.value] = await hold.get(("digest", part.value), partial(self._read, part.value))
        return self.key(request, digests)

    def key(self, request: Request, digests: Mapping[str, Digest]) -> Keyed:
        """The request with its keys."""
        own = {part.value: digests[part.value] for part in request.media()}
        key = request.key({path: each.digest for path, each in own.items()}, self._engine.backend.identity())
        return Keyed(
            request=request,
            entry=request.entry_key(key, self._engine.model_state),
            media={part: self._medium_key(part, request, own[part.value].digest) for part in request.media()},
            seed=request.derived_seed(key),
            states={path: each.state for path, each in own.items()},
        )

    def _medium_key(self, part: Part, request: Request, digest: str) -> str:
        """Of what decides whether a medium can be used: its content, and how it is read."""
        return digest_of(["medium", KEPT, part.kind, digest, asdict(request.frames), self._reading])

    async def _read(self, path: str) -> Digest:
        seen = time.time_ns()
        digest, state = await self._files.digest(path, rules_of(path, self._rules))
        file = SeenFile(_name(path), *state, seen, digest)
        self._remembered[path] = file
        if len(self._remembered) > MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        if self._journal:
            self._journal.note([file])
        return Digest(digest, state)


def _name(path: str) -> bytes:
    return os.fsencode(os.path.abspath(path))
