"""Samples that flow through one op or several: what an op makes of a sample goes to the next op at once.

A stage is an op and its samples. A sample enters if the stage has room, asks in rounds (`rounds.py`), and leaves with its fate
when all samples before it have left; so the order of outputs does not depend on timing. All code of ops runs in the thread that
iterates. Of all that can be done, what is furthest downstream is done first.

The requests of one round of one op are a queue of the window, in the order of samples: a sample that asks waits for its turn
until it is known of each sample before it whether it asks in that round. Measurements have no turn: a worker takes them when one
is free. A queue is flushed when nothing more can come, or when
the stream is at rest. So the composition of batches depends on samples and room alone, never on timing.

Room is counted in samples and in their bytes, for each stage apart: a stage that is full holds up the one before it.
"""

from __future__ import annotations

import itertools
import marshal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from juicecap.errors import BugError
from juicecap.ops.apply.fate import Fate
from juicecap.ops.apply.rounds import Asked, Rounds
from juicecap.sample import Sample
from juicecap.vlm.base import Limits, Outcome
from juicecap.vlm.journal import HeldFailures, Journal
from juicecap.vlm.measurement import Measurement
from juicecap.vlm.pipeline import core
from juicecap.vlm.pipeline.resources.engine_stats import EngineStats
from juicecap.vlm.pipeline.window import RequestQueue, Ticket, Window

if TYPE_CHECKING:
    from juicecap.ops.base import Op

MOST_SAMPLES, MOST_BYTES = 4096, 2**26
"""Samples in a stream, and their bytes as `marshal` counts them. Each stage has an equal share of both."""

ENGINES = 8
"""Engines that so many samples keep busy; of more engines each has its share of samples more."""

AT_ONCE, SECONDS_AT_ONCE = 64, 0.02
"""Samples that enter a stage, or leave it, one after the other, and how long that may take: the code of some ops is slow."""

GATHERED_FOR = 0.002
"""Seconds in which more answers may come after the first one: what leaves together is written together."""

SampleHook = Callable[[Sample], None]
FateHook = Callable[[Fate], Fate]


@dataclass
class _InProgress:
    """A sample in a stage. It has a fate, or waits for its turn to ask (`asked`), or for outcomes."""

    rounds: Rounds
    weight: int
    asked: Asked = ()
    fate: Fate | None = None

    def knows(self, number: int) -> bool:
        """Whether it is known if it asks in this round."""
        return self.fate is not None or self.rounds.number >= number

    def waits_for(self, number: int) -> bool:
        """Whether it waits for its turn in this round."""
        return bool(self.asked) and self.rounds.number == number


@dataclass
class _Round:
    """The requests of one round. `known`: the first sample of which it is not known whether it asks in it."""

    queue: RequestQueue
    known: int = 0
    ended: bool = False


class Stage:
    """An op with its samples, which are numbered as they enter."""

    def __init__(
        self,
        op: Op,
        limits: Limits,
        *,
        entered: SampleHook | None = None,
        left: FateHook | None = None,
        stats: EngineStats | None = None,
        held: HeldFailures | None = None,
    ) -> None:
        """`entered` is called with each sample before it asks, and `left` with each fate, in order; what it returns counts.

        `stats` and `held` are as for `Window.queue`.
        """
        self.op, self._limits, self._stats, self._held = op, limits, stats or EngineStats(), held
        self._hear_entered, self._hear_left = entered, left
        self.most_samples, self.most_bytes = MOST_SAMPLES, MOST_BYTES
        self.place = 0
        """Its place in a stream."""
        self.began: float | None = None
        """When the first sample entered, as `time.monotonic` has it."""
        self.input_ended = False
        """Whether no more samples come."""
        self._samples: dict[int, _InProgress] = {}
        self._first = self._next = 0
        self._bytes = 0
        self._weights: deque[int] = deque()
        self._arrived: deque[Sample] = deque()
        self._rounds: list[_Round] = []
        self._measuring: list[int] = []
        """Samples that ask for measurements alone, which have no turn to wait for."""
        self._deepest = 0

    @property
    def has_room(self) -> bool:
        """Whether another sample may come."""
        return not self.count or (self.count < self.most_samples and self._bytes < self.most_bytes)

    @property
    def count(self) -> int:
        """Samples that have come, or are expected, and have not left."""
        return len(self._samples) + len(self._weights)

    @property
    def over(self) -> bool:
        """Whether all samples have come and left."""
        return self.input_ended and not self.count

    def expect(self, sample: Sample) -> None:
        """Keep room for a sample that is going to arrive, after all that are expected already."""
        weight = _weight(sample)
        self._weights.append(weight)
        self._bytes += weight

    def arrive(self, samples: Iterable[Sample]) -> None:
        """Take samples that were expected; they enter later."""
        self._arrived.extend(samples)

    def enter(self) -> bool:
        """Let the next sample that has arrived enter, up to what it asks; false if there is none."""
        if not self._arrived:
            return False
        sample = self._arrived.popleft()
        self.began = self.began or time.monotonic()
        if self._hear_entered:
            self._hear_entered(sample)
        each = _InProgress(Rounds(self.op, sample), self._weights.popleft())
        self._samples[self._next] = each
        self._next += 1
        self._note(self._next - 1, each.rounds.begin())
        return True

    def go_on(self, number: int, outcomes: Sequence[Outcome]) -> None:
        """Take the outcomes of what a sample asked."""
        self._note(number, self._samples[number].rounds.go_on(outcomes))

    def submit(self, window: Callable[[], Window]) -> Iterator[tuple[Ticket, int]]:
        """Submit what has its turn: tickets, and the samples' numbers."""
        while len(self._rounds) < self._deepest:
            self._rounds.append(_Round(window().queue(self._limits, self._stats, self._held, self.place)))
        for sample in self._measuring:
            measures = self._samples[sample]
            yield window().submit(self._rounds[measures.rounds.number - 1].queue, measures.asked), sample
            measures.asked = ()
        self._measuring.clear()
        before_ended = self.input_ended
        for number, round_ in enumerate(self._rounds, start=1):
            round_.known = max(round_.known, self._first)
            while (each := self._samples.get(round_.known)) and each.knows(number):
                if each.waits_for(number):
                    yield window().submit(round_.queue, each.asked), round_.known
                    each.asked = ()
                round_.known += 1
            if before_ended and round_.known == self._next and not round_.ended:
                round_.ended = True
                window().flush(round_.queue)
            before_ended = round_.ended

    def leave(self, following: Stage | None, most: int) -> list[Fate]:
        """The fates of the next samples, as far as they are known, and as the following stage has room for their outputs."""
        fates: list[Fate] = []
        while len(fates) < most and (following is None or following.has_room):
            each = self._samples.get(self._first)
            if each is None or each.fate is None:
                break
            del self._samples[self._first]
            self._first += 1
            self._bytes -= each.weight
            fate = self._hear_left(each.fate) if self._hear_left else each.fate
            fates.append(fate)
            if following:
                for output in fate.outputs:
                    following.expect(output)
        return fates

    def waiting(self) -> RequestQueue | None:
        """The queue of the last round that has requests that wait for others. Steady while the window is at rest."""
        return next((each.queue for each in reversed(self._rounds) if each.queue.waiting), None)

    def _note(self, number: int, met: Asked | Fate) -> None:
        each = self._samples[number]
        if isinstance(met, Fate):
            each.fate = met
        else:
            each.asked = met
            if all(isinstance(ask, Measurement) for ask in met):
                self._measuring.append(number)
            self._deepest = max(self._deepest, each.rounds.number)


class Stream:
    """Samples on their way through stages; a context manager, to be used by one thread. Answers in `journal` are reused.

    Iterating gives a stage and the fates of some of its samples, in order, again and again until all samples have met their
    fates. Before it goes on, the outputs of these fates must be passed on, if another stage follows.

    Raises:
        JuicecapError: an engine cannot be opened, or died; or a hook of a stage raises it.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        samples: Iterable[Sample],
        journal: Journal | None = None,
        media_folder: Path | None = None,
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        """At most `at_once` samples enter, or leave, before it is looked again for something further downstream.

        Files that tasks write go into `media_folder`.
        """
        self._at_once = at_once
        self.stages = list(stages)
        most = MOST_SAMPLES * max(1, core.width() // ENGINES)
        for place, stage in enumerate(self.stages):
            stage.place = place
            stage.most_samples, stage.most_bytes = most // len(stages) or 1, MOST_BYTES // len(stages)
        self._following = dict(itertools.zip_longest(self.stages, self.stages[1:]))
        self._samples, self._journal, self._media_folder = iter(samples), journal, media_folder
        self._opened: Window | None = None
        self._tickets: dict[Ticket, tuple[Stage, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give up what is in progress."""
        if self._opened:
            self._opened.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[tuple[Stage, list[Fate]]]:
        while not self.stages[-1].over:
            self._hear_answers()
            if some := self._leaving():
                yield some
            elif not self._enter() and not self._end_inputs() and not self.stages[-1].over:
                self._wait()

    def pass_on(self, stage: Stage, samples: Iterable[Sample]) -> None:
        """Let the outputs of the fates that were given last arrive at the stage that follows this one."""
        if following := self._following[stage]:
            following.arrive(samples)

    def _leaving(self) -> tuple[Stage, list[Fate]] | None:
        for stage in reversed(self.stages):
            if fates := stage.leave(self._following[stage], self._at_once):
                return stage, fates
        return None

    def _enter(self) -> bool:
        """Let some samples enter the furthest stage that has any; false if none has."""
        until = time.monotonic() + SECONDS_AT_ONCE
        for stage in reversed(self.stages):
            entered = 0
            while entered < self._at_once and self._comes(stage) and stage.enter():
                entered += 1
                self._submit(stage)  # the next sample may be long in coming
                if time.monotonic() > until:
                    break
            if entered:
                return True
        return False

    def _comes(self, stage: Stage) -> bool:
        """Whether a sample may have arrived; the first stage takes one from the source if it has room."""
        if stage is self.stages[0] and not stage.input_ended:
            if not stage.has_room:
                return False
            if (sample := next(self._samples, None)) is None:
                stage.input_ended = True
            else:
                stage.expect(sample)
                stage.arrive([sample])
        return True

    def _end_inputs(self) -> bool:
        """Note that nothing more comes to a stage, where that is so; whether it is news."""
        ended = [next_ for stage, next_ in self._following.items() if next_ and stage.over and not next_.input_ended]
        for stage in ended:
            stage.input_ended = True
        self._submit(*self.stages)
        return bool(ended)

    def _hear_answers(self) -> None:
        if self._opened:
            for ticket in self._opened.answered():
                stage, number = self._tickets.pop(ticket)
                stage.go_on(number, ticket.outcomes())
            self._submit(*self.stages)

    def _submit(self, *stages: Stage) -> None:
        for stage in stages:
            for ticket, number in stage.submit(self._window):
                self._tickets[ticket] = stage, number

    def _wait(self) -> None:
        """Wait for answers. Where nothing is in progress, let the furthest requests go that wait for others."""
        if self._opened and self._opened.wait():
            time.sleep(GATHERED_FOR)
            return
        queue = next(filter(None, (stage.waiting() for stage in reversed(self.stages))), None)
        if queue is None or not self._opened:
            raise BugError("samples wait for something that never comes")
        self._opened.flush(queue)

    def _window(self) -> Window:
        if self._opened is None:
            self._opened = core.window(self._journal, self._media_folder)
        return self._opened


def _weight(sample: Sample) -> int:
    """Bytes of a sample, roughly; values that `marshal` does not know count nothing."""
    try:
        return len(marshal.dumps(sample))
    except ValueError:
        return 0
