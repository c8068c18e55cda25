"""The one small interface by which a run tells how it goes. The command line draws it; a library caller may listen."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told about a run as it goes on, from the thread that runs it."""

    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        """Step `number` of `of` begins with `samples` samples; `finished` says that an earlier run has done it."""

    def foreseen(self, replayed: int, asked: int, *, whole: bool) -> None:
        """Of the step's answers so many are in the journal, and so many are to be asked; if not `whole`, of the first samples."""

    def advanced(self, samples: int, rejected: int) -> None:
        """So many more samples met their fate, so many of them were rejected."""

    def ended(self) -> None:
        """The step is done."""


class SilentProgress:
    """Tells nobody."""

    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        """See `Progress`."""

    def foreseen(self, replayed: int, asked: int, *, whole: bool) -> None:
        """See `Progress`."""

    def advanced(self, samples: int, rejected: int) -> None:
        """See `Progress`."""

    def ended(self) -> None:
        """See `Progress`."""
