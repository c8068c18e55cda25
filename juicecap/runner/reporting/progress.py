"""The interface through which a run reports its progress. The command line draws it; callers of the library may implement it."""

from __future__ import annotations

from typing import Protocol

from typing_extensions import override

from juicecap.runner.reporting.status import RunStatus, StepStatus


class Progress(Protocol):
    """Receives reports about a run.

    `reported` is called from a thread of its own, so that a run does not wait for drawing; no two methods run at once.
    """

    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        """Step `number` of `of` begins with `samples` samples; `finished` says that an earlier run has done it."""

    def foreseen(self, replayed: int, asked: int, *, shared: int, whole: bool) -> None:
        """`replayed` of the step's answers are in the journal, `asked` are to be asked, and `shared` are equal to some of these.

        If not `whole`, that is so of its first samples.
        """

    def reported(self, status: RunStatus) -> None:
        """The figures of this moment: about twice a second, and at the end of the run."""

    def ended(self, step: StepStatus) -> None:
        """The step is done."""


class SilentProgress(Progress):
    """Ignores all reports."""

    @override
    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        """Do nothing."""

    @override
    def foreseen(self, replayed: int, asked: int, *, shared: int, whole: bool) -> None:
        """Do nothing."""

    @override
    def reported(self, status: RunStatus) -> None:
        """Do nothing."""

    @override
    def ended(self, step: StepStatus) -> None:
        """Do nothing."""
