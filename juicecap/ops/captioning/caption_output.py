"""What the ops that write one caption into a column share: which media they show, and how the caption is written."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, ClassVar

from typing_extensions import override

from juicecap.errors import SampleError
from juicecap.media.sampling import FrameSampling
from juicecap.nested import value_of
from juicecap.ops.captioning.answer_turn import AnswerMode
from juicecap.ops.captioning.conversation import Conversation, Kind, Medium
from juicecap.ops.captioning.part_frames import bad_frames
from juicecap.ops.captioning.provenance import PROVENANCE, entries_of, provenance, with_provenance
from juicecap.ops.options.groups import OUTPUT
from juicecap.ops.options.model_options import ModelOptions
from juicecap.ops.options.types import NOT_EMPTY
from juicecap.sample import HIDDEN, ORIGIN, Sample, media_paths
from juicecap.vlm.base import LATER, Message, Outcome, Part

KINDS: tuple[Kind, ...] = ("image", "video")
"""The kinds of media, in the order in which the model sees them."""

MOST_MEDIA = 1024
"""Media in one request: a row that names more takes memory, and no model takes that many."""

SHOWN_COLUMNS = 8
"""Columns of a sample that a message lists."""

DATAFLOW_KEY = "DF_API_KEY"
"""DataFlow's default for the variable that holds a server's key."""


@dataclass(frozen=True, kw_only=True)
class CaptionedColumn(ModelOptions, ABC):
    """The parameters of an op that writes one caption for each sample. Mixed into ops."""

    api_key_env: str | None = field(default=None, metadata={"aliases": ["key_name_of_api_key"]})
    """Name of the environment variable that holds the server's key; null: DF_API_KEY if it is set, else OPENAI_API_KEY."""
    output_key: str = field(default="caption", metadata={**OUTPUT, **NOT_EMPTY})
    """Column that receives the caption."""
    overwrite_output: bool = field(default=False, metadata=OUTPUT)
    """Whether a column that is there already may be overwritten with the caption."""
    conversation_answer: AnswerMode = field(default="keep", metadata={**OUTPUT, **LATER})
    """Whether the caption becomes an answer in the conversation: no, in the place of the old one, or in a round of its own."""
    provenance_field: str | None = field(default=None, metadata={**OUTPUT, **NOT_EMPTY})
    """Column that records for each caption its model, prompt, sampling, seed, frames and tokens; null: none."""

    version: ClassVar[int] = 2
    default_batch_size: ClassVar[int] = 16
    ignored_parameters: ClassVar[Mapping[str, str]] = {
        **ModelOptions.ignored_parameters,
        **dict.fromkeys(("text_key", "video_key", "image_key"), "the op has parameters of its own for its columns"),
    }

    @abstractmethod
    def shown(self, sample: Sample) -> tuple[Part, ...]:
        """The media of a sample that the model is shown (`media_parts`)."""

    def media_of(self, sample: Sample) -> list[str]:
        """The paths of the media that the model is shown."""
        try:
            return [file.value for part in self.shown(sample) for file in part.files()]
        except SampleError:
            return []

    @override
    def key_name(self) -> str:
        return super().key_name() or (DATAFLOW_KEY if os.environ.get(DATAFLOW_KEY) else "")

    def columns_refused(self) -> tuple[tuple[str, str], ...]:
        """The column of the caption, unless it may be overwritten."""
        return () if self.overwrite_output else (("output_key", self.output_key),)

    def check_output(self, sample: Sample) -> None:
        """Make sure that nothing is overwritten.

        Raises:
            SampleError: `OUTPUT_EXISTS` if the column holds something, `BAD_PROVENANCE` if that of the provenance does.
        """
        if self.provenance_field:
            entries_of(sample, self.provenance_field)
        if value_of(sample, self.output_key) is not None and not self.overwrite_output:
            raise SampleError("OUTPUT_EXISTS", f"column {self.output_key!r} holds something: set overwrite_output: true")

    def written(self) -> dict[str, Any]:
        """The columns of the caption, for `Op.columns_written`."""
        return {self.output_key: "text", **({self.provenance_field: PROVENANCE} if self.provenance_field else {})}

    def captioned(self, op: str, sample: Sample, media_keys: Sequence[str], outcome: Outcome) -> Sample:
        """The sample with the caption.

        Raises:
            SampleError: `EMPTY_ANSWER`.
        """
        new = {**sample, self.output_key: caption_of(outcome)}
        if self.provenance_field:
            entry = provenance(op, sample, media_keys, outcome, outcome.answers[0])
            new[self.provenance_field] = with_provenance(sample, self.provenance_field, [entry])
        return new


def caption_of(outcome: Outcome) -> str:
    """The one answer.

    Raises:
        SampleError: `EMPTY_ANSWER`.
    """
    (answer,) = outcome.answers
    caption = answer.text.strip()
    if not caption:
        raise SampleError("EMPTY_ANSWER", "the model's answer is empty")
    return caption


def media_parts(
    sample: Sample, keys: Mapping[str, str], conversation: Conversation | None, options: ModelOptions
) -> tuple[Part, ...]:
    """The media of a sample: images, then videos. `keys` are the columns by kind, `options` the op's.

    If the column of a kind is empty, its media come from the parts of the conversation that name a path. Either way the first
    part says how the first medium is sampled, and so on.

    Raises:
        SampleError: a column is malformed, there are no media or too many, the conversation names more than there are, or as
            `Part.located`.
    """
    parts: list[Part] = []
    frames = options.frame_sampling()
    media = _standing_for_videos(sample, keys, conversation.media) if conversation else ()
    for kind in KINDS:
        if kind not in keys:
            continue
        named = [each for each in media if each.kind == kind]
        paths = options.video_paths(sample, keys[kind]) if kind == "video" else media_paths(sample, keys[kind])
        own = [Part(kind, path) for path in paths] or _named_parts(sample, named)
        if len(named) > len(own):
            counts = f"{len(named)} of <{kind}>, and column {keys[kind]!r} holds {len(own)}"
            raise SampleError("MORE_TOKENS_THAN_MEDIA", f"the conversation has {counts}")
        parts += [_sampled(part.located(), medium, frames) for part, medium in zip_longest(own, named)]
    if len(parts) > MOST_MEDIA:
        raise SampleError("TOO_MANY_MEDIA", f"{len(parts):,} media cannot be captioned together, but {MOST_MEDIA:,} at most")
    if not parts:
        has = [name for name, value in sample.items() if name not in HIDDEN and value not in (None, "", [])]
        columns = ", ".join(map(repr, has[:SHOWN_COLUMNS])) + (", …" if len(has) > SHOWN_COLUMNS else "")
        lacks = f"there is nothing to caption in {' and '.join(map(repr, keys.values()))}"
        raise SampleError("NO_MEDIA", f"{lacks}; the sample has {columns}" if columns else lacks)
    return tuple(parts)


def _named_parts(sample: Sample, media: Sequence[Medium]) -> list[Part]:
    """The media that parts of the conversation name."""
    parts = []
    for each in media:
        paths = media_paths({"path": each.pictures or each.path, ORIGIN: sample.get(ORIGIN)}, "path")
        if paths:
            parts.append(Part(each.kind, paths[0], pictures=tuple(paths) if each.pictures else ()))
    return parts


def _sampled(part: Part, medium: Medium | None, frames: FrameSampling) -> Part:
    """A part with the sampling that the conversation wants for it.

    Raises:
        SampleError: `BAD_FRAME_SETTINGS`.
    """
    if medium is None:
        return part
    own = medium.frames.applied(frames, listed=bool(part.pictures))
    if problems := own.problems():
        raise bad_frames([sentence for _, sentence in problems])
    return part if own == frames else replace(part, frames=own)


def _standing_for_videos(sample: Sample, keys: Mapping[str, str], media: Sequence[Medium]) -> Sequence[Medium]:
    """The media of a conversation. LLaVA's data has `<image>` for a video too, so in a sample of videos alone it is one."""
    kinds = {each.kind for each in media}
    if kinds != {"image"} or len(keys) != len(KINDS) or any(each.path for each in media):
        return media
    if media_paths(sample, keys["image"]) or len(media) > len(media_paths(sample, keys["video"])):
        return media
    return [Medium("video") for _ in media]


def messages(system: str | None, media: Sequence[Part], prompt: str) -> list[Message]:
    """A system message, if there is one to send, and one user message: the media, then the prompt."""
    front = [Message("system", (Part("text", system),))] if system else []
    return [*front, Message("user", (*media, Part("text", prompt)))]
