"""Removes from captions what is not about the picture: words to the person who asked, marks around the whole, odd characters.

No model is asked: the kinds of things that go are those of `captioning/cleaning/`. What is left of a caption is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from typing_extensions import override

from juicecap.errors import SampleError
from juicecap.nested import value_of, with_value
from juicecap.ops.base import Mapper
from juicecap.ops.captioning.chunks import SpecialTokens
from juicecap.ops.captioning.cleaning.characters import respaced, without_invisible
from juicecap.ops.captioning.cleaning.chatter import without_closing, without_opener, without_preamble
from juicecap.ops.captioning.cleaning.wrapping import holds_json, without_fence, without_markup, without_quotes
from juicecap.sample import Sample, short_repr
from juicecap.vlm.base import Outcome

MOST_LAYERS = 12
"""Rounds in which something is taken off a caption: quotation marks in bold in a fence behind a preamble are four."""


@dataclass(frozen=True, kw_only=True)
class CaptionCleaningMapper(Mapper):
    """Removes from captions what is not about the picture: preambles, closings, quotes around the whole, invisible characters."""

    preambles: bool = True
    """Whether what a model says before the caption is removed: "Sure! Here is a caption:", "Caption:"."""
    closings: bool = True
    """Whether what it says behind the caption is removed: "Let me know if you'd like changes.", "I hope this helps!"."""
    openers: bool = False
    """Whether "The video shows", "In this video, we see" and the like are removed from the beginning of the caption."""
    quotes: bool = True
    """Whether quotation marks around the whole caption are removed."""
    markup: bool = True
    """Whether Markdown around the whole caption is removed: bold, italics, a heading, a block quote, rules."""
    fences: Literal["none", "text", "all"] = "text"
    """Which code fences around the whole are removed: none, those around a text, or all, also those around JSON."""
    invisible: bool = True
    """Whether zero-width characters, marks of direction, soft hyphens and control characters are removed."""
    newlines: Literal["space", "keep"] = "space"
    """What becomes of line breaks: one space (between Chinese or Japanese characters nothing), or they stay."""
    spaces: bool = True
    """Whether several spaces, tabs and other white space in a line become one plain space."""

    @override
    def columns_required(self) -> tuple[tuple[str, str], ...]:
        return (("text_key", self.text_key),)

    def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        """The sample with its text, or each text of its list, cleaned; a sample without text stays as it is."""
        del outcomes
        value = value_of(sample, self.text_key)
        if value is None:
            return [sample]
        texts = value if isinstance(value, list) else [value]
        if not all(text is None or isinstance(text, str) for text in texts):
            raise SampleError("BAD_TEXT", f"column {self.text_key!r} holds {short_repr(value)}, not a text or a list of texts")
        cleaned = [text and self._cleaned(text) for text in texts]
        return [with_value(sample, self.text_key, cleaned if isinstance(value, list) else cleaned[0])]

    def _cleaned(self, text: str) -> str:
        """The text with what stands between its special tokens cleaned."""
        pieces = SpecialTokens.of(self).split(text)
        pieces[::2] = map(self._cleaned_piece, pieces[::2])
        cleaned = "".join(pieces)
        return cleaned.strip() or text if self.spaces else cleaned

    def _cleaned_piece(self, piece: str) -> str:
        """A caption with the white space around it; if nothing but chatter is in it, as it is."""
        seen = without_invisible(piece) if self.invisible else piece
        whole = seen.strip()
        caption = self._unwrapped(whole)
        if not caption and piece.strip():
            return piece
        begin = seen.index(whole)
        seen = seen[:begin] + caption + seen[begin + len(whole) :]
        return seen if holds_json(caption) else respaced(seen, one_line=self.newlines == "space", single=self.spaces)

    def _unwrapped(self, caption: str) -> str:
        """What is left when layer after layer is taken off; empty if that is nothing."""
        for _ in range(MOST_LAYERS):
            before = caption
            if self.fences != "all" and holds_json(caption):
                return caption
            for without in self._layers():
                caption = without(caption).strip()
            if caption == before:
                break
        return without_opener(caption) if self.openers else caption

    def _layers(self) -> list[Callable[[str], str]]:
        layers: list[tuple[bool, Callable[[str], str]]] = [
            (self.fences != "none", without_fence),
            (self.markup, without_markup),
            (self.quotes, without_quotes),
            (self.preambles, without_preamble),
            (self.closings, without_closing),
        ]
        return [without for wanted, without in layers if wanted]
