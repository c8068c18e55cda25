"""A measurement on its way: what it is known by in the journal, and what the journal says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juicecap.file_state import file_state
from juicecap.media.workers.turns import Need
from juicecap.sample import is_remote
from juicecap.vlm.base import Outcome, digest_of
from juicecap.vlm.journal.entries import EntriesByKey, medium_failure
from juicecap.vlm.journal.shapes import sound_measurement, sound_medium
from juicecap.vlm.measurement import Measurement
from juicecap.vlm.pipeline.lookup.claims import Settle
from juicecap.vlm.pipeline.lookup.digests import Digest


@dataclass(frozen=True)
class QueuedMeasurement:
    """A measurement, the callback for its outcome, and how much it is needed."""

    measurement: Measurement
    settle: Settle
    need: Need

    @property
    def is_known_by_state(self) -> bool:
        """Whether the states of files tell the medium apart; what is fetched has no state of its own."""
        return self.measurement.task.known_by == "state" and not is_remote(self.measurement.medium.value)


@dataclass(frozen=True, kw_only=True)
class KeyedMeasurement:
    """A measurement with the journal's keys of its value, and its files as they were at `seen`.

    `digest` is that of the measurement within whatever limits, `file` what its task writes, and `spent` what it may take.
    `legacy_digest` and the second of the `keys` are those of versions before, if the journal may have values of them.
    """

    asked: QueuedMeasurement
    digest: str
    legacy_digest: str
    keys: tuple[str, ...]
    file: Path | None
    spent: tuple[float, int]
    files: Mapping[str, Digest]
    seen: int

    @property
    def key(self) -> str:
        """The journal's key of a value that is new."""
        return self.keys[0]

    @property
    def failure_key(self) -> str:
        """The journal's key of a failure that is new."""
        return self._failure_key(self.key)

    @property
    def journal_keys(self) -> tuple[str, ...]:
        """All keys under which the journal may have an entry."""
        return (*self.keys, *map(self._failure_key, self.keys))

    def known(self, entries: EntriesByKey) -> Outcome | None:
        """The outcome that is in the journal, if there is one."""
        return next(filter(None, (self._known(key, entries) for key in self.keys)), None)

    def _failure_key(self, key: str) -> str:
        """The key of a failure, which depends on what the task may take."""
        return digest_of([key, self.spent])

    def _known(self, key: str, entries: EntriesByKey) -> Outcome | None:
        measurement = self.asked.measurement
        found = sound_measurement(entries.get(key, {}), measurement.task.accepts).get(0)
        if found and self.stays_good(found["seen"]) and self._is_whole(found["value"]):
            return self.outcome(found["value"])
        failure = medium_failure(sound_medium(entries.get(self._failure_key(key), {})), measurement.medium.value)
        return Outcome(failure=failure) if failure else None

    def outcome(self, value: Any) -> Outcome:
        """The outcome with a value, and the path of the file that was written."""
        return Outcome(value={**value, "path": str(self.file)} if self.file else value)

    def _is_whole(self, value: Any) -> bool:
        state = file_state(str(self.file)) if self.file else None
        return not self.file or (state is not None and state.size == value["bytes"])

    def stays_good(self, seen: int) -> bool:
        """Whether a value of then is one of now, given that its key is equal."""
        return not self.asked.is_known_by_state or all(each.state.tells(seen) for each in self.files.values())
