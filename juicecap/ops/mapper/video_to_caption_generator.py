"""Captions what a sample shows, videos and images together, in DataFlow's dataset shape.

The parameter names and the shape are those of the op of this name in DataFlow's guides (`docs/from_dataflow.md`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from typing_extensions import override

from juicecap.nested import value_of
from juicecap.ops.base import Mapper
from juicecap.ops.captioning.answer_turn import OLD_ANSWER, with_caption
from juicecap.ops.captioning.caption_output import CaptionedColumn, caption_of, media_parts, messages
from juicecap.ops.captioning.conversation import Conversation, read_conversation, turns_spec, without_tokens
from juicecap.ops.captioning.prompt_template import filled, template_columns
from juicecap.ops.options.common_options import column_clashes
from juicecap.ops.options.groups import QUESTION
from juicecap.sample import Sample
from juicecap.vlm.base import Outcome, Part, Request

DEFAULT_PROMPT = "Please describe the video in detail."


@dataclass(frozen=True, kw_only=True)
class VideoToCaptionGenerator(CaptionedColumn, Mapper):
    """Captions the videos and images of a sample together, and writes caption and prompt into its columns."""

    prompt_template: str | None = field(default=None, metadata=QUESTION)
    """What to ask, with `{column}` filled from the sample; null: "Please describe the video in detail."."""
    system_prompt: str | None = field(default="You are a helpful assistant.", metadata=QUESTION)
    """Sent as the system message, where the conversation has none of its own; null: none."""
    conversation_mode: Literal["overwrite", "fill_empty", "ignore"] = field(default="overwrite", metadata=QUESTION)
    """Whether the prompt becomes the first human turn: always, only if that is empty, or never."""
    input_video_key: str = field(default="video", metadata=QUESTION)
    """Column that holds the paths of the videos."""
    input_image_key: str = field(default="image", metadata=QUESTION)
    """Column that holds the paths of the images."""
    input_conversation_key: str = field(default="conversation", metadata=QUESTION)
    """Column that holds the conversation."""

    @override
    def problems(self) -> list[tuple[str, str]]:
        found = []
        try:
            template_columns(self._template)
        except ValueError as error:
            found.append(("prompt_template", f"prompt_template: {error}"))
        names = ("input_image_key", "input_video_key", "start_key", "end_key", "input_conversation_key")
        if self.conversation_mode == "ignore" and self.conversation_answer != "keep":
            both = f"conversation_answer: {self.conversation_answer} and conversation_mode: ignore"
            found.append(("conversation_answer", f"{both} exclude each other: set one of them"))
        return found + column_clashes(self, names, ("output_key", "provenance_field"))

    @override
    def media_columns(self) -> tuple[str, ...]:
        return (self.input_image_key, self.input_video_key)

    @override
    def media_keys(self) -> tuple[str, ...]:
        return (self.input_video_key, self.input_image_key)

    @override
    def media_sources(self) -> tuple[str, ...]:
        return (*self.media_columns(), self.input_conversation_key)

    @override
    def shown(self, sample: Sample) -> tuple[Part, ...]:
        keys = {"image": self.input_image_key, "video": self.input_video_key}
        return media_parts(sample, keys, self._conversation(sample), self)

    @override
    def columns_required(self) -> tuple[tuple[str, str], ...]:
        filled_in = tuple(("prompt_template", column) for column in template_columns(self._template))
        return (*filled_in, *self.part_columns())

    @override
    def columns_written(self) -> Mapping[str, Any]:
        column = self.input_conversation_key
        conversation = {} if self.conversation_mode == "ignore" else {column: turns_spec(column)}
        return {**conversation, **self.written()}

    def requests(self, sample: Sample) -> Sequence[Request]:
        """One request, with everything that the sample shows."""
        self.check_output(sample)
        return [self._request(sample, self._conversation(sample))]

    @override
    def sample_advice(self, sample: Sample) -> Sequence[tuple[str, str]]:
        conversation = self._conversation(sample)
        if self.conversation_answer != "keep" or not conversation or conversation.answer is None:
            return ()
        return () if self._asks_its_own(conversation) else (("conversation_answer", OLD_ANSWER),)

    def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        """The sample with its caption, and the prompt in its conversation."""
        (outcome,), conversation, column = outcomes, self._conversation(sample), self.input_conversation_key
        if conversation:
            prompt = None if self._asks_its_own(conversation) else filled(self._template, sample)
            if prompt is not None or self.conversation_answer != "keep":
                turns = with_caption(conversation, prompt, caption_of(outcome), column, self.conversation_answer)
                sample = {**sample, column: turns}
        return [self.captioned(self.numbered_name, sample, self.media_keys(), outcome)]

    @override
    def prompts(self) -> Mapping[str, str]:
        return {**super().prompts(), "prompt_template": self._template}

    @property
    def _template(self) -> str:
        return DEFAULT_PROMPT if self.prompt_template is None else self.prompt_template

    def _conversation(self, sample: Sample) -> Conversation | None:
        column = self.input_conversation_key
        return None if self.conversation_mode == "ignore" else read_conversation(value_of(sample, column), column)

    def _asks_its_own(self, conversation: Conversation) -> bool:
        return self.conversation_mode == "fill_empty" and bool(conversation.text)

    def _request(self, sample: Sample, conversation: Conversation | None) -> Request:
        if conversation and self._asks_its_own(conversation):
            prompt = conversation.text
        else:
            prompt = without_tokens(filled(self._template, sample))
        system = (conversation.system if conversation else "") or self.system_prompt
        return self.question(messages(system, self.shown(sample), prompt), 1)
