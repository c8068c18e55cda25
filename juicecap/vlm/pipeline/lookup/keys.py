"""The keys of a request: its key and seed, and the keys under which a journal keeps its answers and its media."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from juicecap.media.read_otherwise import READING_VERSION, is_otherwise
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
from juicecap.vlm.pipeline.sites.site import Description, Site


@dataclass(frozen=True, kw_only=True)
class KeyedRequest:
    """A request with its keys."""

    request: Request
    key: str
    reading: int
    """The version by which the media are read, if it makes a difference for these; else 0."""
    entry: str
    """The journal's key of its answers, if all that the request says is sent."""
    sent: str
    """The same for what is really sent, as far as that is known."""
    media: Mapping[Part, str]
    """The journal's key of each medium, for media that cannot be used."""
    seed: int
    files: Mapping[str, Digest]
    """The media's files as they were digested."""

    @property
    def journal_keys(self) -> tuple[str, ...]:
        """All keys under which the journal may have entries."""
        return (self.entry, self.sent, *self.media.values())

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


class RequestKeys:
    """Keys of requests to one engine."""

    def __init__(self, engine: Description, limits: Limits) -> None:
        self._engine = engine
        self.capabilities: Capabilities = engine.capabilities
        """What the engine wants."""
        self._pin = ""
        self._pinned: str | None = None
        """The name of what the journal keeps of the engine, and what it holds; None without a journal."""
        spent = limits.decode_seconds, limits.decode_bytes
        self._reading = (asdict(self.capabilities.sizes), self.capabilities.takes_files, *spent, hashed(limits.media))

    @classmethod
    async def of(cls, site: Site, settings: ModelSettings, limits: Limits, journal: Journal | None) -> RequestKeys:
        """Describe the engine; a choice that the journal knows of is kept."""
        if journal is None:
            return cls(await site.described(settings), limits)
        name = digest_of(["pin", settings.backend, settings.model, settings.params, settings.api_base])
        pinned = await asyncio.wrap_future(journal.fact(name))
        keys = cls(await site.described(settings, pinned), limits)
        keys._pin, keys._pinned = name, pinned
        return keys

    def to_pin(self) -> list[Fact]:
        """What is known of the engine and not yet in the journal: to be written down once it is asked."""
        word = self._engine.lessons.pinned(self._engine.transport_choice)
        if self._pinned in (None, word):
            return []
        self._pinned = word
        return [Fact(self._pin, word)]

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
        key = request.key(contents, self._engine.identity)
        reading = READING_VERSION if any(is_otherwise(each.reading) for each in own.values()) else 0
        unsent = self._engine.lessons.unsent(request)
        return KeyedRequest(
            request=request,
            key=key,
            reading=reading,
            entry=request.entry_key(key, self._engine.model_state, reading=reading),
            sent=request.entry_key(key, self._engine.model_state, unsent, reading=reading),
            media={part: self._medium_key(part, request, contents) for part in request.media()},
            seed=request.derived_seed(key),
            files=own,
        )

    def sent_key(self, keyed: KeyedRequest, unsent: Sequence[str]) -> str:
        """The journal's key of answers that were asked for without these parameters."""
        return keyed.request.entry_key(keyed.key, self._engine.model_state, unsent, reading=keyed.reading)

    def renewed(self, keyed: KeyedRequest) -> KeyedRequest:
        """The same with what is known by now of what is sent."""
        return replace(keyed, sent=self.sent_key(keyed, self._engine.lessons.unsent(keyed.request)))

    def _medium_key(self, part: Part, request: Request, digests: Mapping[str, str]) -> str:
        """The key of everything that decides whether a medium can be used: its content, and how it is read."""
        content, frames = part.content(digests), hashed(request.frames_of(part))
        return digest_of(["medium", JOURNAL_VERSION, READING_VERSION, part.kind, content, frames, self._reading])
