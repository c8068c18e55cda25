"""The one small interface by which a run tells how it goes. The command line draws it; a library caller may listen."""

from __future__ import annotations

from typing import Protocol

from juicecap.runner.reporting.status import RunStatus, StepStatus


class Progress(Protocol):
    """Told about a run as it goes on.

    `reported` comes from a thread of its own, so that a run does not wait for whoever draws; no two methods run at once.
    """

    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        """Step `number` of `of` begins with `samples` samples; `finished` says that an earlier run has done it."""

    def foreseen(self, replayed: int, asked: int, *, whole: bool) -> None:
        """Of the step's answers so many are in the journal, and so many are to be asked; if not `whole`, of the first samples."""

    def reported(self, status: RunStatus) -> None:
        """The figures of this moment: about twice a second, and at the end of the run."""

    def ended(self, step: StepStatus) -> None:
        """The step is done."""


class SilentProgress:
    """Tells nobody."""

    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        """See `Progress`."""

    def foreseen(self, replayed: int, asked: int, *, whole: bool) -> None:
        """See `Progress`."""

    def reported(self, status: RunStatus) -> None:
        """See `Progress`."""

    def ended(self, step: StepStatus) -> None:
        """See `Progress`."""
