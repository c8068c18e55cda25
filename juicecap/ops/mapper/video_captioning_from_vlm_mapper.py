"""Captions the videos of a sample with a vision-language model.

The contract is that of Data-Juicer's op of the same name, by its documentation (`docs/ops/` lists the differences).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

from typing_extensions import override

from juicecap.errors import SampleError
from juicecap.nested import value_of
from juicecap.notice import say_once
from juicecap.ops.base import Mapper
from juicecap.ops.captioning.chunks import Chunk, SpecialTokens, one_chunk, split_chunks
from juicecap.ops.captioning.provenance import PROVENANCE, entries_of, provenance, with_provenance
from juicecap.ops.captioning.similarity import most_similar
from juicecap.ops.options.common_options import column_clashes
from juicecap.ops.options.groups import CANDIDATES, OUTPUT, QUESTION
from juicecap.ops.options.model_options import ModelOptions
from juicecap.ops.options.numbers import Candidates
from juicecap.ops.options.types import NOT_EMPTY
from juicecap.sample import LONGEST_TEXT, Sample, short_repr
from juicecap.vlm.base import LATER, Answer, Message, Outcome, Part, Request

DEFAULT_PROMPT = "\nDescribe the input video in 1-2 sentences.\n"

ORIGINAL_STAYS = "the input sample stays in front of the captioned one; keep_original_sample: false leaves it out"
"""What `juicecap check` says where the recipe says nothing of it."""

MOST_VIDEOS = 10_000
"""Videos of one sample. Each is a request of its own, and all of them are in progress together."""


class Candidate(NamedTuple):
    """A caption that a video may get: its number among the answers, and its text without special tokens."""

    number: int
    text: str
    answer: Answer


@dataclass(frozen=True, kw_only=True)
class VideoCaptioningFromVLMMapper(ModelOptions, Mapper):
    """Captions the videos of a sample with a vision-language model and writes the captions into new samples."""

    prompt: str | None = field(default=None, metadata=QUESTION)
    """What to ask, taken literally; null or empty: "\\nDescribe the input video in 1-2 sentences.\\n"."""
    prompt_key: str | None = field(default=None, metadata={**QUESTION, **NOT_EMPTY})
    """Column with a prompt for each sample; wins over prompt where it holds a text."""
    system_prompt: str | None = field(default=None, metadata=QUESTION)
    """Sent as the system message; null: none."""
    legacy_split_by_text_token: bool = field(default=True, metadata=QUESTION)
    """Whether the text's video tokens say which videos are captioned (a text without any: all); false: all videos."""
    caption_num: Candidates = field(default=1, metadata=CANDIDATES)
    """Candidate captions asked for each video."""
    keep_candidate_mode: Literal["random_any", "similar_one_simhash", "all"] = field(default="random_any", metadata=CANDIDATES)
    """Which candidates stay: a random one, the one nearest to the sample's text, or all, each in a sample of its own."""
    keep_original_sample: bool | None = field(default=None, metadata=OUTPUT)
    """Whether the input sample stays in front of the new ones; null: true, and false where caption_field is set."""
    caption_field: str | None = field(default=None, metadata={**OUTPUT, **NOT_EMPTY})
    """Column that receives the list of captions, one for each video; null: captions go into the text alone."""
    caption_as: Literal["list", "text"] = field(default="list", metadata={**OUTPUT, **LATER})
    """What caption_field receives: a list with a caption for each video, or, of samples with one video, the caption as a text."""
    text_update_strategy: Literal["rewrite", "keep_origin"] | None = field(default=None, metadata=OUTPUT)
    """Whether captions go into the text; null: keep_origin where caption_field is set, else rewrite."""
    provenance_field: str | None = field(default="caption_provenance", metadata={**OUTPUT, **NOT_EMPTY})
    """Column that records for each caption its model, prompt, sampling, seed, frames and tokens; null: none."""

    version: ClassVar[int] = 2
    default_batch_size: ClassVar[int] = 16

    @override
    def candidates(self) -> int:
        return self.caption_num

    @override
    def prompts(self) -> Mapping[str, str]:
        return {**super().prompts(), "prompt": self.prompt or DEFAULT_PROMPT}

    @override
    def problems(self) -> list[tuple[str, str]]:
        found = []
        if self.caption_field and self.keep_original_sample:
            found.append(
                ("keep_original_sample", "keep_original_sample: true and caption_field exclude each other: set one of them")
            )
        if not self.caption_field and self.text_update_strategy == "keep_origin":
            found.append(
                ("text_update_strategy", "text_update_strategy: keep_origin would throw the captions away: set caption_field")
            )
        if self.caption_as == "text" and not self.caption_field:
            found.append(("caption_as", "caption_as: text says what caption_field receives: set caption_field"))
        if self._replaces_text and self._rewrites:
            sentence = f"text_update_strategy: rewrite and caption_field both write the column {self.text_key!r}: leave one out"
            found.append(("text_update_strategy", sentence))
        read = ("video_key", "start_key", "end_key", "prompt_key", *(() if self._replaces_text else ("text_key",)))
        return found + column_clashes(self, read, ("caption_field", "provenance_field"))

    @override
    def media_columns(self) -> tuple[str, ...]:
        return (self.video_key,)

    @override
    def columns_required(self) -> tuple[tuple[str, str], ...]:
        prompt = (("prompt_key", self.prompt_key),) if self.prompt_key else ()
        return (("video_key", self.video_key), *self.part_columns(), *prompt)

    @override
    def columns_written(self) -> Mapping[str, Any]:
        written: dict[str, Any] = {}
        if self._rewrites:
            written[self.text_key] = "text"
        if self.caption_field:
            written[self.caption_field] = "text" if self.caption_as == "text" else "texts"
        if self.provenance_field:
            written[self.provenance_field] = PROVENANCE
        return written

    @override
    def sample_warnings(self, sample: Sample) -> Sequence[tuple[str, str]]:
        if self.keep_candidate_mode != "similar_one_simhash" or self.caption_num == 1:
            return ()
        if all(chunk.text for chunk in self._chunks(sample)):
            return ()
        return (("keep_candidate_mode", "similar_one_simhash has no text to compare captions with"),)

    @override
    def sample_advice(self, sample: Sample) -> Sequence[tuple[str, str]]:
        if self.keep_original_sample is None and self._keeps_original and self._chunks(sample):
            return (("keep_original_sample", ORIGINAL_STAYS),)
        return ()

    def requests(self, sample: Sample) -> Sequence[Request]:
        """One request for each video that is to be captioned, in order."""
        if self.provenance_field:
            entries_of(sample, self.provenance_field)  # a column that cannot be extended is rejected before any request
        videos = [video for chunk in self._chunks(sample) for video in chunk.videos]
        if self.caption_as == "text" and len(videos) > 1:
            raise SampleError(
                "SEVERAL_VIDEOS",
                "caption_as: text takes samples with one video, and there are more: set caption_as: list",
                parameter="caption_as",
            )
        return [self.question(self._messages(sample, video), self.caption_num) for video in videos]

    def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        """The original, if it stays, and the new samples."""
        chunks = self._chunks(sample)
        originals = [dict(sample)] if self._keeps_original else []
        if not chunks:
            if not originals:
                raise SampleError("NO_VIDEO", f"column {self.video_key!r} holds no video")
            return originals
        references = [chunk.text for chunk in chunks for _ in chunk.videos]
        candidates = [self._candidates(outcome) for outcome in outcomes]
        if self.keep_candidate_mode == "all":
            rounds = [each for each in zip(*candidates, strict=True) if all(candidate.text for candidate in each)]
        else:
            rounds = [tuple(map(self._choose, candidates, references, outcomes))]
        if not rounds:
            raise SampleError("EMPTY_ANSWER", "the model's answer is empty")
        return originals + [self._captioned(sample, chunks, outcomes, chosen) for chosen in rounds]

    @property
    def _keeps_original(self) -> bool:
        return self.keep_original_sample if self.keep_original_sample is not None else not self.caption_field

    @property
    def _rewrites(self) -> bool:
        return (self.text_update_strategy or ("keep_origin" if self.caption_field else "rewrite")) == "rewrite"

    @property
    def _replaces_text(self) -> bool:
        return self.caption_as == "text" and self.caption_field == self.text_key

    @property
    def _tokens(self) -> SpecialTokens:
        return SpecialTokens.of(self)

    def _chunks(self, sample: Sample) -> list[Chunk]:
        videos, text = self.video_paths(sample, self.video_key), value_of(sample, self.text_key)
        if not videos:
            return []
        if text is not None and not isinstance(text, str):
            raise SampleError("BAD_TEXT", f"column {self.text_key!r} holds {short_repr(text)}, not a text")
        text = text or ""
        if len(text) > LONGEST_TEXT:
            raise SampleError("TOO_LONG", f"column {self.text_key!r} has {len(text):,} characters, more than {LONGEST_TEXT:,}")
        if len(videos) > MOST_VIDEOS:
            raise SampleError(
                "TOO_MANY_MEDIA", f"column {self.video_key!r} holds {len(videos):,} videos, more than {MOST_VIDEOS:,}"
            )
        named = text.count(self.video_special_token)
        if not self.legacy_split_by_text_token or not named:
            return [one_chunk(text, videos, self._tokens)]
        if named > len(videos):
            raise SampleError("MORE_TOKENS_THAN_VIDEOS", f"the text has {named} video tokens for {len(videos)} videos")
        if named < len(videos):
            say_once(f"{self.numbered_name}: some samples have more videos than video tokens; their last videos are left alone")
        return split_chunks(text, videos, self._tokens)

    def _messages(self, sample: Sample, video: str) -> list[Message]:
        parts = (Part("video", video), Part("text", self._prompt(sample)))
        system = [Message("system", (Part("text", self.system_prompt),))] if self.system_prompt else []
        return [*system, Message("user", parts)]

    def _prompt(self, sample: Sample) -> str:
        own = value_of(sample, self.prompt_key) if self.prompt_key else None
        if self.prompt_key and self.prompt is not None:
            op, column = self.numbered_name, self.prompt_key
            say_once(f"{op}: prompt_key and prompt are both set; prompt is used where {column!r} holds no text")
        if isinstance(own, str) and own:  # an empty cell of a CSV file is a missing value
            return own
        return self.prompt or DEFAULT_PROMPT

    def _candidates(self, outcome: Outcome) -> list[Candidate]:
        tokens = self._tokens
        return [Candidate(index, tokens.stripped(answer.text), answer) for index, answer in enumerate(outcome.answers)]

    def _choose(self, candidates: list[Candidate], reference: str, outcome: Outcome) -> Candidate:
        """The candidate of one video that is kept; never an empty one."""
        candidates = [each for each in candidates if each.text]
        if not candidates:
            raise SampleError("EMPTY_ANSWER", "the model's answer is empty")
        if self.keep_candidate_mode == "random_any":
            return random.Random(outcome.seed).choice(candidates)  # noqa: S311  (a draw, not a secret)
        if not reference:
            say_once(f"{self.numbered_name}: some samples have no text to compare captions with; their first candidate is taken")
            return candidates[0]
        return candidates[most_similar(reference, [each.text for each in candidates])]

    def _captioned(self, sample: Sample, chunks: list[Chunk], outcomes: Sequence[Outcome], chosen: Sequence[Candidate]) -> Sample:
        captions = [candidate.text for candidate in chosen]
        new = dict(sample)
        if self._rewrites:
            left = iter(captions)
            new[self.text_key] = "".join(chunk.rewritten([next(left) for _ in chunk.videos], self._tokens) for chunk in chunks)
        if self.caption_field:
            new[self.caption_field] = captions[0] if self.caption_as == "text" else captions
        if self.provenance_field:
            entries = [
                provenance(self.numbered_name, sample, self.media_keys(), outcome, each.answer, each.number)
                for outcome, each in zip(outcomes, chosen, strict=True)
            ]
            new[self.provenance_field] = with_provenance(sample, self.provenance_field, entries)
        return new
