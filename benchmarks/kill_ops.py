"""An op for the recipes that `kill_fuzz.py` kills: it asks a model in rounds, about texts alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from juicecap.ops.apply.rounds import Conversation
from juicecap.ops.base import Mapper
from juicecap.ops.options.model_options import ModelOptions
from juicecap.ops.registry import register
from juicecap.sample import Sample
from juicecap.vlm.base import Message, Part, Request


@register
@dataclass(frozen=True, kw_only=True)
class DoubtMapper(ModelOptions, Mapper):
    """Asks whether a text is so, and then about the answer; every other sample is asked a third time."""

    def columns_written(self) -> Mapping[str, Any]:
        """The column of the last answer."""
        return {"doubt": "text"}

    def converse(self, sample: Sample) -> Conversation:
        """Two rounds, or three."""
        (first,) = yield [self._about(f"Is this so? {sample['text']}")]
        (last,) = yield [self._about(f"Are you sure? {first.answers[0].text}")]
        if sample["n"] % 2:
            (last,) = yield [self._about(f"Really? {last.answers[0].text}")]
        return [{**sample, "doubt": last.answers[0].text}]

    def _about(self, text: str) -> Request:
        return self.question([Message("user", (Part("text", text),))], 1)

    def process(self, sample: Sample, outcomes: object) -> list[Sample]:
        """Not called: see `converse`."""
        raise NotImplementedError
