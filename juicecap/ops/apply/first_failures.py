"""What becomes of failed samples in `Op.run` if nobody wants them collected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from juicecap.ops.apply.fate import Fate

if TYPE_CHECKING:
    from datasets import Dataset

IDENTICAL_FAILURES = 100
"""The number of samples at the start of a step that end the run if all fail with one code."""


class FirstFailures:
    """Keeps the first failure of an op, to be raised when all other samples are done, or when it is plain that all fail."""

    def __init__(self, media_keys: Sequence[str], samples: int, *, are_wanted: bool) -> None:
        """`are_wanted`: failures are collected, so none is raised."""
        self._media_keys, self._samples, self._are_wanted = media_keys, samples, are_wanted
        self._first: Fate | None = None
        self._alike = 0
        """Samples at the start that all failed with the first one's code."""
        self._others = False

    def watch(self, fate: Fate) -> None:
        """Take the next fate.

        Raises:
            SampleError: so many samples failed in the same way that others need not be tried.
        """
        first = self._first = self._first or (fate if fate.failure else None)
        if self._others or self._are_wanted:
            return
        if first is None or first.failure is None or fate.failure is None or fate.failure.code != first.failure.code:
            self._others = True
            return
        self._alike += 1
        if self._alike == IDENTICAL_FAILURES < self._samples:
            self._raise(f"the first {self._alike} of {self._samples:,} samples failed alike, and the others were not tried", None)

    def check(self, failed: int, kept: Dataset) -> None:
        """Take the result, once all samples have their fates.

        Raises:
            SampleError: the first failure, if there is one; the result is in its `kept`.
        """
        if self._first:
            done = f"{failed:,} of {self._samples:,} samples failed"
            self._raise(f"{done}; what the others became is in this error's .kept" if failed < self._samples else done, kept)

    def _raise(self, what: str, kept: Dataset | None) -> None:
        assert self._first
        error = self._first.named_failure(self._media_keys)
        error.message = f"{error.message} ({what}; with rejected=[] or a path run() collects failures and returns the rest)"
        error.args, error.kept = (error.message,), kept
        raise error from self._first.failure
