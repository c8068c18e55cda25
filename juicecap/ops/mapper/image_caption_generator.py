"""Captions the images of a sample, in DataFlow's dataset shape.

The parameter names and the shape are those of the op of this name in DataFlow's guides (`docs/from_dataflow.md`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from juicecap.nested import value_of
from juicecap.ops.base import Mapper
from juicecap.ops.captioning.answer_turn import with_caption
from juicecap.ops.captioning.caption_output import CaptionedColumn, caption_of, media_parts, messages
from juicecap.ops.captioning.conversation import Conversation, read_conversation, turns_spec
from juicecap.ops.options.common_options import column_clashes
from juicecap.ops.options.groups import QUESTION
from juicecap.sample import Sample
from juicecap.vlm.base import Outcome, Part, Request

DEFAULT_PROMPT = "Please describe the image in detail."


@dataclass(frozen=True, kw_only=True)
class ImageCaptionGenerator(CaptionedColumn, Mapper):
    """Captions the images of a sample together, asking what its conversation asks, and writes the caption into a column."""

    system_prompt: str = field(metadata={**QUESTION, "example": "You are a helpful assistant."})
    """Sent as the system message, where the conversation has none of its own; an empty text: none."""
    prompt: str | None = field(default=None, metadata=QUESTION)
    """What to ask where the sample has no conversation, or an empty one; null: "Please describe the image in detail."."""
    input_modal_key: str = field(default="image", metadata=QUESTION)
    """Column that holds the paths of the images."""
    input_conversation_key: str = field(default="conversation", metadata=QUESTION)
    """Column that holds the conversation, whose first human turn is asked. Only conversation_answer changes it."""
    output_key: str = "output"
    """Column that receives the caption."""

    @override
    def problems(self) -> list[tuple[str, str]]:
        names = ("input_modal_key", "input_conversation_key")
        return column_clashes(self, names, ("output_key", "provenance_field"))

    @override
    def media_columns(self) -> tuple[str, ...]:
        return (self.input_modal_key,)

    @override
    def media_keys(self) -> tuple[str, ...]:
        return (self.input_modal_key,)

    @override
    def media_sources(self) -> tuple[str, ...]:
        return (*self.media_columns(), self.input_conversation_key)

    @override
    def shown(self, sample: Sample) -> tuple[Part, ...]:
        return media_parts(sample, {"image": self.input_modal_key}, self._conversation(sample), self)

    @override
    def columns_written(self) -> Mapping[str, Any]:
        column = self.input_conversation_key
        conversation = {} if self.conversation_answer == "keep" else {column: turns_spec(column)}
        return {**conversation, **self.written()}

    def requests(self, sample: Sample) -> Sequence[Request]:
        """One request, with all images of the sample."""
        self.check_output(sample)
        return [self._request(sample)]

    def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        """The sample with its caption."""
        (outcome,), column = outcomes, self.input_conversation_key
        if self.conversation_answer != "keep":
            conversation = self._conversation(sample)
            prompt = None if conversation.text else self._default_prompt
            turns = with_caption(conversation, prompt, caption_of(outcome), column, self.conversation_answer)
            sample = {**sample, column: turns}
        return [self.captioned(self.numbered_name, sample, self.media_keys(), outcome)]

    @override
    def prompts(self) -> Mapping[str, str]:
        return {**super().prompts(), "prompt": self._default_prompt}

    @property
    def _default_prompt(self) -> str:
        return DEFAULT_PROMPT if self.prompt is None else self.prompt

    def _conversation(self, sample: Sample) -> Conversation:
        return read_conversation(value_of(sample, self.input_conversation_key), self.input_conversation_key)

    def _request(self, sample: Sample) -> Request:
        conversation = self._conversation(sample)
        prompt = conversation.text or self._default_prompt
        return self.question(messages(conversation.system or self.system_prompt, self.shown(sample), prompt), 1)
