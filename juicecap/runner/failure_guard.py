"""Watches the fates of a step, and ends a run that makes no sense to continue.

Two things end a run: the first failure under `on_error: stop`, and samples that all fail for one reason. If a server refuses
every request, or a folder is not mounted, a million samples need not fail: the first `IDENTICAL_FAILURES` are enough, or as many
more as `max_rejected` allows if the data is to blame. A step with fewer samples that all failed because of the environment ends
the run as well.

While all samples fail alike, the journal holds their failures back, so that a run that ends early rejects none permanently.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from juicecap.errors import DataError, EnvironmentFailure, JuicecapError, SampleError
from juicecap.ops.apply.fate import Fate
from juicecap.ops.apply.first_failures import IDENTICAL_FAILURES
from juicecap.ops.options.run_options import OnError
from juicecap.sample import FATE

if TYPE_CHECKING:
    from datasets import Dataset

    from juicecap.ops.apply.table import Fates
    from juicecap.recipe import Step
    from juicecap.vlm.journal import HeldFailures, Journal

ENGINE = ("DECODER_CRASHED", "ENGINE_POISON", "GENERATE_FAILED", "PROCESSOR_FAILED")
"""Codes, besides retryable ones, that point to the environment if all samples have them."""


class FailureGuard:
    """Watches one step, in a run in which `allowed` samples may be rejected."""

    def __init__(self, step: Step, on_error: OnError, *, allowed: int) -> None:
        self._step, self._on_error = step, on_error
        self._too_many = math.inf if on_error == "keep" else max(IDENTICAL_FAILURES, allowed + 1)
        self._journal: Journal | None = None
        self._held: HeldFailures | None = None
        self._first: Fate | None = None
        self._alike = True
        self._count = 0

    def begin(self, journal: Journal | None) -> HeldFailures | None:
        """Start with the first fate; the step's failures are written to `journal` through what this returns."""
        if journal:
            self._journal, self._held = journal, journal.hold_failures()
        return self._held

    def observe(self, fate: Fate, *, more: bool) -> None:
        """Take the next fate. `more`: other samples are known to follow.

        Raises:
            DataError: the run must stop, and the samples are to blame.
            EnvironmentFailure: it must stop, and they are not.
        """
        if fate.failure and self._on_error == "stop":
            raise self._stop(fate)
        if not self._alike:
            return
        first = self._first = self._first or fate
        if fate.failure is None or first.failure is None or fate.failure.code != first.failure.code:
            self._alike = False
            self._trust()
            return
        self._count += 1
        blameless = first.failure.retryable or first.failure.code in ENGINE
        enough = IDENTICAL_FAILURES if blameless else self._too_many
        if self._count > enough or (self._count == enough and more):
            raise self._all_alike(f"the first {self._count}", blameless=blameless)
        if self._count == IDENTICAL_FAILURES and not blameless:
            self._trust()

    def end(self) -> None:
        """All fates are known.

        Raises:
            EnvironmentFailure: all samples failed, and the environment is to blame.
        """
        if self._alike and self._first and self._first.failure and self._first.failure.retryable:
            raise self._all_alike(f"the {self._count}" if self._count > 1 else "the one", blameless=True)
        self._trust()

    def check(self, table: Dataset, fates: Fates) -> None:
        """Check the fates of a finished table, perhaps from an earlier run.

        Raises:
            DataError, EnvironmentFailure: as `observe`.
        """
        if self._on_error == "stop" and fates.failed:
            row = table[fates.failed[0].row]
            fate = row[FATE]
            failure = SampleError(fate["code"], fate["message"], retryable=fate["retryable"], attempts=fate["attempts"])
            sample = {name: value for name, value in row.items() if name != FATE}
            raise self._stop(Fate(kind="rejected", sample=sample, failure=failure))

    def _stop(self, fate: Fate) -> JuicecapError:
        error = fate.named_failure(self._step.op.media_keys())
        kind = EnvironmentFailure if error.retryable else DataError
        return kind(f"{self._step.label}: {error}. The run stops at this sample because on_error is 'stop'.")

    def _all_alike(self, which: str, *, blameless: bool) -> JuicecapError:
        assert self._first
        error = self._first.named_failure(self._step.op.media_keys())
        what = f"{self._step.label}: all of {which} samples failed for the same reason; the first: {error}. Nothing was exported."
        if error.retryable:
            return EnvironmentFailure(f"{what} Running again goes on.")
        if blameless:
            return EnvironmentFailure(
                f"{what} Mend that and run again, which goes on; what earlier runs gave up for good needs --retry-rejected."
            )
        return DataError(
            f"{what} Mend that and run again (with --retry-rejected if a model is to be asked again), "
            "or allow it with max_rejected: 1.0."
        )

    def _trust(self) -> None:
        """Let the journal write the failures so far: the samples are to blame."""
        if self._journal and self._held:
            self._journal.release_failures(self._held)
