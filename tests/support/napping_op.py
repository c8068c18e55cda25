"""An op that asks about each text, for recipes with the backend `napping`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from juicecap.ops.base import Mapper
from juicecap.ops.options.model_options import ModelOptions
from juicecap.ops.registry import register
from juicecap.sample import Sample
from juicecap.vlm.base import Message, Outcome, Part, Request


@register
@dataclass(frozen=True, kw_only=True)
class NappingMapper(ModelOptions, Mapper):
    """Asks about each text."""

    backend: str = "napping"
    """Any backend: this one may be installed after juicecap was imported."""

    def columns_written(self) -> Mapping[str, Any]:
        """The column of the answer."""
        return {"answer": "text"}

    def requests(self, sample: Sample) -> Sequence[Request]:
        """One question."""
        return [self.question([Message("user", (Part("text", sample["text"]),))], 1)]

    def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        """The sample with its answer."""
        return [{**sample, "answer": outcomes[0].answers[0].text}]
