"""Keeps samples whose text has a length in a range."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonargparse.typing import NonNegativeInt
from typing_extensions import override

from juicecap.errors import SampleError
from juicecap.nested import value_of
from juicecap.ops.base import Filter
from juicecap.ops.options.numbers import Length
from juicecap.ops.options.range_options import RangeOptions
from juicecap.sample import Sample, short_repr
from juicecap.vlm.base import Outcome


@dataclass(frozen=True, kw_only=True)
class TextLengthFilter(RangeOptions, Filter):
    """Keeps samples whose text has a length in a range; a sample without text has length 0."""

    min_len: Length | None = 10
    """Fewest characters that pass; null: no limit."""
    max_len: NonNegativeInt | None = sys.maxsize
    """Most characters that pass; null: no limit."""

    @override
    def problems(self) -> list[tuple[str, str]]:
        return self.range_problems(("min_len", self.min_len), ("max_len", self.max_len))

    @override
    def columns_required(self) -> tuple[tuple[str, str], ...]:
        return (("text_key", self.text_key),)

    def keep(self, sample: Sample) -> bool:
        """Whether the text's length is in the range."""
        text = value_of(sample, self.text_key)
        if text is not None and not isinstance(text, str):
            raise SampleError("BAD_TEXT", f"column {self.text_key!r} holds {short_repr(text)}, not a text")
        return self.in_range(len(text or ""), self.min_len, self.max_len)

    @override
    def measured(self, sample: Sample, outcomes: Sequence[Outcome]) -> Mapping[str, Any]:
        return {"length": len(value_of(sample, self.text_key) or "")}

    @override
    def wanted(self) -> Mapping[str, Any]:
        return self.range_wanted(min_len=self.min_len, max_len=self.max_len)
