"""Outcomes as the journal keeps them: an entry for each candidate, and the outcome that entries give for a request.

Facts about a request as a whole (frames, prompt tokens, revision) are kept with the first candidate that was requested. Seeds are
not kept: they follow from the request. A permanent failure is kept in place of the first candidate. A failure of an engine
applies only to the same number of candidates, since another number may succeed. A failure of a medium has a key of its own and
applies to every request about that medium. Temporary failures are not kept.

What is known of the engine is kept as a fact of its own, whose name stands with the first candidate that was requested. A
journal gives entries with the fact in the place of its name (`Journal.get_entries`).

Answers are kept as they came, reasoning and all; what they mean is read from them each time (`outcomes.heard`).

An entry that contains a server's key is ignored: journals of older versions may hold what a server repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

from juicecap.sample import display_path
from juicecap.secrecy import hidden, key_in
from juicecap.text import valid
from juicecap.vlm.base import Answer, Failure, Outcome, Request, digest_of
from juicecap.vlm.journal.store import Entry, Fact
from juicecap.vlm.seeds import candidate_seeds

EntriesByCandidate = Mapping[int, Any]
"""Entries of one key, by candidate."""

EntriesByKey = Mapping[str, EntriesByCandidate]
"""Entries by key."""


class Asked(Protocol):
    """A request of which an engine was asked the candidates from `first` on."""

    @property
    def request(self) -> Request:
        """The request."""

    @property
    def first(self) -> int:
        """The first candidate that was not known."""


def entries_of(key: str, asked: Asked, outcome: Outcome) -> list[Entry]:
    """The entries of the outcome of a request, or of its missing part."""
    if failure := outcome.failure:
        if failure.retryable:
            return []
        which = [asked.first, asked.request.candidates]
        return [Entry(key, asked.first, {"failure": _words(failure), "asked": which})]
    whole = {
        "prompt_tokens": outcome.prompt_tokens,
        "revision": outcome.revision,
        "frame_times": outcome.frame_times,
        "unreadable": outcome.unreadable,
        **({"damage": outcome.damage} if outcome.damage else {}),
        **({"tone_mapped": True} if outcome.tone_mapped else {}),
        **({} if outcome.opened is None else {"opened": outcome.opened}),
        **({"unsent": outcome.unsent} if outcome.unsent else {}),
        **({"frame_sizes": outcome.frame_sizes} if outcome.frame_sizes else {}),
        **({"engine": digest_of(engine)} if (engine := _engine_of(outcome)) else {}),
    }
    return [
        Entry(key, asked.first + number, _said(answer) | (whole if not number else {}))
        for number, answer in enumerate(outcome.answers)
    ]


def engine_entry(engine: str) -> list[Fact]:
    """The fact about an engine that entries name."""
    return [Fact(digest_of(engine), engine)] if engine else []


def _engine_of(outcome: Outcome) -> str:
    return outcome.answers[0].engine if outcome.answers else ""


def _said(answer: Answer) -> dict[str, Any]:
    said = {"text": answer.text, "finish_reason": answer.finish_reason, "tokens": answer.tokens}
    return said | ({"reasoning": answer.reasoning} if answer.reasoning else {})


def medium_entry(key: str, path: str, failure: Failure) -> list[Entry]:
    """The entry of a medium that cannot be used."""
    return [] if failure.retryable else [Entry(key, 0, {"failure": _words(failure), "path": path})]


def medium_failure(found: EntriesByCandidate, path: str) -> Failure | None:
    """Why a medium cannot be used, if that is known; the message has the medium's current name."""
    entry = found.get(0)
    if entry is None:
        return None
    failure = Failure(**entry["failure"])
    return replace(failure, message=failure.message.replace(display_path(entry["path"]), display_path(path)))


def outcome_of(found: EntriesByCandidate, seed: int, candidates: int) -> Outcome:
    """As much of a request's outcome as is known: answers up to the first candidate that is missing, or a failure.

    Texts are made valid Unicode, since older journals may hold what servers sent.
    """
    known: list[Any] = []
    while len(known) < candidates and _says_something(entry := found.get(len(known)) or {}):
        known.append(entry)
    missing = found.get(len(known)) or {}
    if len(known) < candidates and missing.get("asked") == [len(known), candidates]:
        failure = Failure(**missing["failure"])
        return Outcome(failure=replace(failure, message=hidden(valid(failure.message))), seed=seed)
    if not known:
        return Outcome(seed=seed)
    engines = _engines(known)
    answers = (
        Answer(
            text=valid(entry["text"]),
            finish_reason=entry["finish_reason"],
            tokens=entry["tokens"],
            seed=own,
            reasoning=hidden(valid(entry.get("reasoning", ""))),
            engine=engine,
        )
        for own, entry, engine in zip(candidate_seeds(seed, len(known)), known, engines, strict=True)
    )
    whole = known[0]
    return Outcome(
        answers=tuple(answers),
        seed=seed,
        prompt_tokens=whole["prompt_tokens"],
        revision=hidden(valid(whole["revision"])),
        frame_times=tuple(tuple(times) for times in whole["frame_times"]),
        unreadable=whole["unreadable"],
        damage=valid(whole.get("damage", "")),
        tone_mapped=whole.get("tone_mapped", False),
        frame_sizes=tuple((width, height) for width, height in whole.get("frame_sizes", ())),
        unsent=tuple(whole.get("unsent", ())),
        opened=whole.get("opened"),
    )


def _engines(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The engine of each entry: that of the first one of the request in which it was asked for."""
    engines: list[str] = []
    for entry in entries:
        is_first = "revision" in entry or not engines
        engines.append(hidden(valid(entry.get("engine", ""))) if is_first else engines[-1])
    return engines


def _says_something(entry: Mapping[str, Any]) -> bool:
    return "text" in entry and not key_in(entry["text"])


def joined(known: Outcome, missing: Outcome) -> Outcome:
    """The outcome of a request of which some candidates were known and the others have been asked for."""
    if missing.failure or not known.answers:
        return missing
    opened = missing.opened if known.opened is None else known.opened
    return replace(known, answers=known.answers + missing.answers, opened=opened)


def _words(failure: Failure) -> dict[str, Any]:
    return {name: value for name, value in asdict(failure).items() if name != "retryable"}
