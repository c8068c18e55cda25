"""The keys of a request: its key and seed, and the keys under which a journal keeps its answers and its media."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Self

from juicecap.media.read_otherwise import READING_VERSION, is_otherwise
from juicecap.media.rules import MediaLimits
from juicecap.vlm.base import (
    JOURNAL_VERSION,
    Capabilities,
    Limits,
    ModelSettings,
    Outcome,
    Part,
    Request,
    digest_of,
    hashed,
)
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.entries import EntriesByKey, medium_failure, outcome_of
from juicecap.vlm.journal.shapes import sound, sound_medium
from juicecap.vlm.journal.store import Fact
from juicecap.vlm.outcomes import heard, split
from juicecap.vlm.pipeline.lookup.digests import Digest
from juicecap.vlm.pipeline.lookup.legacy_engine import LegacyEngine
from juicecap.vlm.pipeline.sites.site import Description, Site


@dataclass(frozen=True, kw_only=True)
class KeyedRequest:
    """A request with its keys."""

    request: Request
    key: str
    reading: int
    """The version by which the media are read, if it makes a difference for these; else 0."""
    revision: str
    """That of a local model, which is part of the journal's keys."""
    entry: str
    """The journal's key of its answers, if all that the request says is sent."""
    sent: str
    """The same for what is really sent, as far as that is known."""
    media: Mapping[Part, str]
    """The journal's key of each medium, for media that cannot be used."""
    seed: int
    files: Mapping[str, Digest]
    """The media's files as they were digested."""
    flight: str
    """What identical requests have in common, whatever keys the journal has of them."""
    legacy: KeyedRequest | None = None
    """The same with the keys and the seed that versions before gave it, if the journal may have entries of them."""

    @property
    def journal_keys(self) -> tuple[str, ...]:
        """All keys under which the journal may have entries."""
        return (self.entry, self.sent, *self.media.values(), *(self.legacy.journal_keys if self.legacy else ()))

    def as_kept(self, entries: EntriesByKey) -> KeyedRequest:
        """The request under the keys that the journal has entries of: its own, or else the legacy ones.

        One that was answered in part before is finished under its legacy keys, with the seeds that it had.
        """
        if self.legacy is None or entries.get(self.sent) or entries.get(self.entry):
            return self
        own = (self.entry, self.sent, *self.media.values())
        return self.legacy if any(entries.get(key) for key in self.legacy.journal_keys if key not in own) else self

    def known(self, entries: EntriesByKey) -> Outcome:
        """The part of the outcome that is in the journal: answers up to the first missing one, or a failure."""
        for part, key in self.media.items():
            if failure := medium_failure(sound_medium(entries.get(key, {})), part.value):
                return Outcome(failure=failure, seed=self.seed)
        found = sound(entries.get(self.sent, {}))
        if self.sent != self.entry:  # what was answered before the service refused something stays good, but not its refusal
            before = sound(entries.get(self.entry, {}))
            found = {number: entry for number, entry in before.items() if "failure" not in entry} | found
        return outcome_of(found, self.seed, self.request.candidates)


class _Facts(NamedTuple):
    """What all keys of requests to one engine have in common."""

    identity: str
    revision: str
    reading: tuple[Any, ...]
    """How media are read."""

    @classmethod
    def of(cls, identity: str, revision: str, capabilities: Capabilities, limits: Limits, rules: MediaLimits) -> Self:
        spent = limits.decode_seconds, limits.decode_bytes
        return cls(identity, revision, (asdict(capabilities.sizes), capabilities.takes_files, *spent, hashed(rules)))

    def medium_key(self, part: Part, request: Request, digests: Mapping[str, str]) -> str:
        """The key of everything that decides whether a medium can be used: its content, and how it is read."""
        content, frames = part.content(digests), hashed(request.frames_of(part))
        return digest_of(["medium", JOURNAL_VERSION, READING_VERSION, part.kind, content, frames, self.reading])


class RequestKeys:
    """Keys of requests to one engine."""

    def __init__(self, engine: Description, limits: Limits, legacy: LegacyEngine | None = None) -> None:
        self._engine = engine
        self.capabilities: Capabilities = engine.capabilities
        """What the engine wants."""
        self._facts = _Facts.of(engine.identity, engine.revision, self.capabilities, limits, limits.media.anywhere())
        self._legacy: _Facts | None = None
        if legacy:
            self._legacy = _Facts.of(legacy.identity, legacy.model_state, self.capabilities, limits, limits.media)
        self._pinned: dict[str, str] = {}
        """What the journal holds of the engine, by the names under which it is kept; empty without a journal."""

    @classmethod
    async def of(cls, site: Site, settings: ModelSettings, limits: Limits, journal: Journal | None) -> RequestKeys:
        """Describe the engine; a choice that the journal knows of is kept.

        That of a server is kept for its address, and for the model wherever it is served: the same journal may know several
        servers, and go on with another one.
        """
        if journal is None:
            return cls(await site.described(settings), limits)
        facts = ["pin", settings.backend, settings.model, settings.params]
        names = [digest_of([*facts, settings.api_base]), digest_of(facts)]
        pinned = {name: await asyncio.wrap_future(journal.fact(name)) for name in names}
        engine = await site.described(settings, next(filter(None, pinned.values()), ""))
        keys = cls(engine, limits, await site.legacy(settings) if journal.has_legacy_keys else None)
        keys._pinned = pinned
        return keys

    @property
    def identity(self) -> str:
        """What tells the engine from any that could answer otherwise."""
        return self._engine.identity

    def to_pin(self) -> list[Fact]:
        """What is known of the engine and not yet in the journal: to be written down once it is asked."""
        word = self._engine.lessons.pinned(self._engine.transport_choice)
        unknown = [name for name, pinned in self._pinned.items() if pinned != word]
        self._pinned |= dict.fromkeys(unknown, word)
        return [Fact(name, word) for name in unknown]

    @property
    def engine(self) -> str:
        """What is to be told of the engine (`Answer.engine`)."""
        return self._engine.facts

    def heard(self, outcome: Outcome) -> Outcome:
        """An outcome as it came, as it is meant (`outcomes.heard`). A thought that ends in it teaches how to read others."""
        lessons = self._engine.lessons
        if not lessons.thinks and outcome.opened is None:
            lessons.thinks = any(split(answer).ended for answer in outcome.answers)
        return heard(outcome, thinks=lessons.thinks)

    def key(self, request: Request, digests: Mapping[str, Digest]) -> KeyedRequest:
        """The request with its keys."""
        own = {file.value: digests[file.value] for file in request.files()}
        contents = {path: each.digest for path, each in own.items()}
        keyed = self._keyed(request, own, contents, self._facts)
        if self._legacy is None:
            return keyed
        contents |= {path: each.legacy for path, each in own.items() if each.legacy}
        legacy = self._keyed(request, own, contents, self._legacy)
        return replace(keyed, legacy=replace(legacy, flight=keyed.flight))

    def _keyed(self, request: Request, own: Mapping[str, Digest], contents: Mapping[str, str], facts: _Facts) -> KeyedRequest:
        key, revision = request.key(contents, facts.identity), facts.revision
        reading = READING_VERSION if any(is_otherwise(each.reading) for each in own.values()) else 0
        entry = request.entry_key(key, revision, reading=reading)
        return KeyedRequest(
            request=request,
            key=key,
            reading=reading,
            revision=revision,
            entry=entry,
            sent=request.entry_key(key, revision, self._engine.lessons.unsent(request), reading=reading),
            media={part: facts.medium_key(part, request, contents) for part in request.media()},
            seed=request.derived_seed(key),
            files=own,
            flight=entry,
        )

    def sent_key(self, keyed: KeyedRequest, unsent: Sequence[str]) -> str:
        """The journal's key of answers that were asked for without these parameters."""
        return keyed.request.entry_key(keyed.key, keyed.revision, unsent, reading=keyed.reading)

    def renewed(self, keyed: KeyedRequest) -> KeyedRequest:
        """The same with what is known by now of what is sent."""
        sent = self.sent_key(keyed, self._engine.lessons.unsent(keyed.request))
        return replace(keyed, sent=sent, legacy=self.renewed(keyed.legacy) if keyed.legacy else None)
