"""The rounds of a sample in an op: what it asks, what it asks after it has seen the outcomes, and its fate in the end.

Only this module turns a failed sample into a rejection, and only that sample.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from juicecap.errors import EnvironmentFailure, SampleError
from juicecap.nested import placed
from juicecap.ops.apply.dropped import Dropped
from juicecap.ops.apply.fate import Fate, Usage
from juicecap.sample import Sample, short_repr
from juicecap.secrecy import hidden
from juicecap.vlm.base import Outcome, Request
from juicecap.vlm.measurement import Ask, Measurement

if TYPE_CHECKING:
    from juicecap.ops.base import Op

Asked = Sequence[Ask]
"""What a sample asks in one round; never empty."""

Conversation = Generator[Sequence[Ask], list[Outcome], Sequence[Sample] | Dropped | None]
"""What an op does with one sample (`Op.converse`)."""

MOST_ROUNDS = 1000
"""Rounds after which a sample is rejected: its op would go on for ever."""


class Rounds:
    """One sample in an op."""

    def __init__(self, op: Op, sample: Sample) -> None:
        self.sample = sample
        self.number = 0
        """The round that the sample is in: those in which it asked something, from 1."""
        self._op = op
        self._usage = Usage()
        self._asked: Asked = ()
        self._has_requested = False
        self._conversation: Conversation | None = None

    def begin(self) -> Asked | Fate:
        """What the sample asks first, or its fate if it asks nothing."""
        return self._advance(self._started)

    def go_on(self, outcomes: Sequence[Outcome]) -> Asked | Fate:
        """What the sample asks next, given the outcomes of what it asked, or its fate."""
        outcomes = [_heard(ask, outcome) for ask, outcome in zip(self._asked, outcomes, strict=True)]
        self._usage = self._usage.plus(Usage.of(outcomes, further=self._has_requested))
        self._has_requested = self._has_requested or any(isinstance(ask, Request) for ask in self._asked)
        conversation = self._conversation
        assert conversation, "begin() comes first"
        try:
            for outcome in outcomes:
                outcome.raise_failure()
        except SampleError as error:
            failure = error
            return self._advance(lambda: conversation.throw(failure))
        return self._advance(lambda: conversation.send(outcomes))

    def _started(self) -> Sequence[Ask]:
        written = self._op.columns_written()
        if any("." in name for name in written):  # what has no place inside of an object is rejected before any request
            placed({**self.sample, **dict.fromkeys(written)}, written, self.sample)
        self._conversation = self._op.converse(self.sample)
        return next(self._conversation)

    def _advance(self, step: Callable[[], Sequence[Ask]]) -> Asked | Fate:
        """Run the op's code up to the next question, or to the end."""
        for _ in range(MOST_ROUNDS):
            try:
                asked = self._checked(step())
            except StopIteration as end:
                return self._fate(end.value)
            except SampleError as error:
                return self._rejected(error)
            except Exception as error:  # noqa: BLE001  (the door to a user's code)
                return self._rejected(self._failure_of_foreign_code(error))
            if asked:
                self.number += 1
                if self.number > MOST_ROUNDS:
                    break
                self._asked = asked
                return asked
            step = self._answered_nothing
        self._close()
        return self._rejected(SampleError("TOO_MANY_ROUNDS", f"{self._op.name} asks again and again, {MOST_ROUNDS:,} times"))

    def _answered_nothing(self) -> Sequence[Ask]:
        assert self._conversation
        return self._conversation.send([])

    def _checked(self, asked: Sequence[Ask]) -> Asked:
        asks = tuple(asked)
        hash(asks)
        if not all(isinstance(ask, Request | Measurement) for ask in asks):
            self._close()
            raise SampleError("OP_FAILED", f"{self._op.name} asks {short_repr(asks)}, which are not requests")
        return asks

    def _fate(self, outputs: Sequence[Sample] | Dropped | None) -> Fate:
        if isinstance(outputs, Dropped):
            return Fate(kind="filtered", sample=self.sample, dropped=outputs, usage=self._usage)
        if outputs is not None and not all(isinstance(output, dict) for output in outputs):
            wrong = f"{self._op.name} gave {short_repr(outputs)}, not a list of samples"
            return self._rejected(SampleError("OP_FAILED", wrong))
        if not outputs:
            return Fate(kind="filtered", sample=self.sample, usage=self._usage)
        try:
            written = self._op.columns_written()
            placed_outputs = tuple(placed(output, written, self.sample) for output in outputs)
        except SampleError as error:
            return self._rejected(error)
        return Fate(kind="kept", sample=self.sample, outputs=placed_outputs, usage=self._usage)

    def _rejected(self, failure: SampleError) -> Fate:
        return Fate(kind="rejected", sample=self.sample, failure=failure, usage=self._usage)

    def _failure_of_foreign_code(self, error: Exception) -> SampleError:
        """A user's op may raise anything, which rejects only this sample; an exception of a built-in op is a bug.

        An `EnvironmentFailure` is never the sample's failure.
        """
        if isinstance(error, EnvironmentFailure) or type(self._op).__module__.startswith("juicecap."):
            raise error
        return SampleError("OP_FAILED", f"{self._op.name} fails with {type(error).__name__}: {hidden(str(error))}")

    def _close(self) -> None:
        if self._conversation:
            self._conversation.close()


def _heard(ask: Ask, outcome: Outcome) -> Outcome:
    """An outcome as an op gets it: with its request, or with a value of its own, which others may have as well."""
    if isinstance(ask, Request):
        return replace(outcome, request=ask)
    return replace(outcome, value=marshal.loads(marshal.dumps(outcome.value)))  # noqa: S302  (its own bytes; a fast copy)
