"""Turns every kind of white space within a line into a plain space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from juicecap.errors import SampleError
from juicecap.nested import value_of
from juicecap.ops.base import Mapper
from juicecap.sample import Sample, short_repr
from juicecap.vlm.base import Outcome

_SPACES = [*map(chr, range(0x2000, 0x200E)), *"\t\u0084\u00a0\u202f\u205f\u2060\u3000\ufffc"]
_TO_SPACE = str.maketrans(dict.fromkeys(_SPACES, " "))
"""The characters that Data-Juicer's op of this name replaces: spaces of all widths, zero-width ones, joiners; no line breaks."""


@dataclass(frozen=True, kw_only=True)
class WhitespaceNormalizationMapper(Mapper):
    """Strips the text and turns every kind of white space within a line into a plain space."""

    @override
    def columns_required(self) -> tuple[tuple[str, str], ...]:
        return (("text_key", self.text_key),)

    @override
    def columns_written(self) -> Mapping[str, Any]:
        return {self.text_key: "text"}

    def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
        """The sample with its text normalised; a sample without text stays as it is."""
        del outcomes
        text = value_of(sample, self.text_key)
        if text is None:
            return [sample]
        if not isinstance(text, str):
            raise SampleError("BAD_TEXT", f"column {self.text_key!r} holds {short_repr(text)}, not a text")
        return [{**sample, self.text_key: text.strip().translate(_TO_SPACE)}]
