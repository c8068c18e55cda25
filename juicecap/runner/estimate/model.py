"""What a run will take: samples, frames, tokens, answers, memory. `compute` works it out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from juicecap.recipe import Recipe, Step
from juicecap.vlm.base import ModelSettings
from juicecap.vlm.models.facts import CACHE_DTYPE_BYTES, ModelFacts
from juicecap.vlm.pipeline.resources.frame_budget import PART_OF_MACHINE, machine_memory

SHORTEST_ANSWER = 32
"""Tokens that an answer is assumed to have at least; at most it has `max_tokens`."""

CONFIDENCE = 1.96
"""Standard errors to either side, for what is scaled up from a spread of samples."""

NO_MODEL = ModelSettings(model="no model")


@dataclass(frozen=True)
class Interval:
    """The range in which a number will probably lie."""

    low: float
    high: float

    def times(self, factor: float) -> Interval:
        """Both multiplied."""
        return Interval(self.low * factor, self.high * factor)

    def plus(self, other: Interval) -> Interval:
        """Both added."""
        return Interval(self.low + other.low, self.high + other.high)


@dataclass(frozen=True, kw_only=True)
class RequestEstimate:
    """One request of a sample in the estimate."""

    sample: str
    frames: int
    prompt: int
    vision: int
    candidates: int
    max_tokens: int
    frame_bytes: int
    exact_vision: bool
    exact_text: bool
    share: float = 1.0
    """The part of it that is this sample's: a third if three samples ask it, of which a run asks one."""

    @property
    def needed(self) -> int:
        """Tokens that the model's context must hold for one candidate."""
        return self.prompt + self.max_tokens


@dataclass
class StepPlan:
    """What one op that uses a model will take; numbers are of the samples in the estimate, `factor` scales them up."""

    step: Step
    factor: float
    model: ModelSettings = NO_MODEL
    """Settings of the first request; an op with several kinds of requests is described as if all were like this one."""
    facts: ModelFacts | None = None
    samples: int = 0
    asked: list[RequestEstimate] = field(default_factory=list)
    video_seconds: list[float] = field(default_factory=list)
    """The duration of each video of `asked`."""
    video_shares: list[float] = field(default_factory=list)
    """The part of each that is its sample's, as in `RequestEstimate.share`."""
    refused: list[str] = field(default_factory=list)
    """Why requests of samples will be rejected: media that cannot be used, columns that are wrong, failures in the journal."""
    failed: int = 0
    """How many of these failed for good in an earlier run."""
    further: int = 0
    """Requests of later rounds, as made-up answers lead to them; what is really asked depends on the answers."""
    known: list[int] | None = None
    """Answers to each of `asked` that the journal has; None: there is no journal, or it cannot be looked into."""
    unknown_because: str = ""

    @property
    def context(self) -> int | None:
        """Tokens that the model's context holds."""
        return self.facts.context.tokens if self.facts and self.facts.context else None

    @property
    def largest(self) -> RequestEstimate | None:
        """The request that needs most tokens."""
        return max(self.asked, key=lambda each: each.needed, default=None)

    @property
    def too_long(self) -> int:
        """Requests that exceed the model's context."""
        return sum(each.needed > self.context for each in self.asked) if self.context else 0

    def left(self) -> list[tuple[RequestEstimate, int]]:
        """The requests that an engine will get, with the number of answers that the journal lacks."""
        known = self.known or [0] * len(self.asked)
        pairs = [(each, each.candidates - have) for each, have in zip(self.asked, known, strict=True)]
        return [(each, lacking) for each, lacking in pairs if lacking > 0]

    def prompt_tokens(self) -> Interval:
        """Tokens of prompts that an engine will read, in the whole run."""
        return self._scaled([each.share * each.prompt for each, _ in self.left()])

    def answer_tokens(self) -> Interval:
        """Tokens that an engine will write, in the whole run."""
        low = [each.share * lacking * min(SHORTEST_ANSWER, each.max_tokens) for each, lacking in self.left()]
        high = [each.share * lacking * each.max_tokens for each, lacking in self.left()]
        return Interval(self._scaled(low).low, self._scaled(high).high)

    def questions(self) -> float:
        """Different questions in the whole run."""
        return self.factor * sum(each.share for each in self.asked)

    def answers(self) -> float:
        """Answers to all samples in the whole run."""
        return self.factor * sum(each.candidates for each in self.asked)

    def answers_asked(self) -> float:
        """Those of them that an engine will be asked for."""
        return self.factor * sum(each.share * lacking for each, lacking in self.left())

    def answers_replayed(self) -> float:
        """Those that the journal has, each once. All others are shared within the run."""
        return self.factor * sum(each.share * have for each, have in zip(self.asked, self.known or (), strict=bool(self.known)))

    def _scaled(self, values: Sequence[float]) -> Interval:
        total = sum(values) * self.factor
        if self.factor == 1 or not values:
            return Interval(total, total)
        error = CONFIDENCE * statistics.pstdev(values) * math.sqrt(len(values)) * self.factor
        return Interval(max(0.0, total - error), total + error)

    def cache_bytes(self, tokens: int) -> int | None:
        """Bytes of the key-value cache for this many tokens."""
        if not self.facts or not self.facts.cache_values:
            return None
        params = self.model.engine_params()
        dtype = str(params.get("dtype") or params.get("torch_dtype") or "bfloat16")
        return tokens * self.facts.cache_values * CACHE_DTYPE_BYTES.get(dtype, 2)

    def frame_limit(self) -> int:
        """Bytes of frames that may be in memory at once."""
        return self.step.op.limits().frame_bytes or machine_memory() // PART_OF_MACHINE


@dataclass(frozen=True)
class DroppedBefore:
    """How many of the samples that were looked at an op drops."""

    op: str
    filtered: int
    rejected: int


@dataclass
class Plan:
    """What a run will take."""

    recipe: Recipe
    samples: int
    looked_at: int
    media: int | None = None
    """Different paths in the columns of media, in all samples; None: there are no such columns."""
    steps: list[StepPlan] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    dropped: list[DroppedBefore] = field(default_factory=list)
    """What ops drop that ask no model."""
    not_applied: list[str] = field(default_factory=list)
    """Ops that are assumed to keep everything."""

    @property
    def factor(self) -> float:
        """The number of samples that one sample of the estimate stands for."""
        return self.samples / self.looked_at if self.looked_at else 1.0

    def prompt_tokens(self) -> Interval:
        """Of all steps."""
        return _sum(step.prompt_tokens() for step in self.steps)

    def answer_tokens(self) -> Interval:
        """Of all steps."""
        return _sum(step.answer_tokens() for step in self.steps)


def _sum(bands: Iterable[Interval]) -> Interval:
    total = Interval(0.0, 0.0)
    for band in bands:
        total = total.plus(band)
    return total
