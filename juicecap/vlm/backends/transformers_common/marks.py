"""Marks of reasoning that a tokenizer takes for special tokens, which decoding would leave out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from juicecap.vlm.reasoning import MARKS


@lru_cache(maxsize=8)
def special_marks(tokenizer: Any) -> frozenset[int]:
    """Their numbers; none where marks are ordinary text."""
    marks = {mark for pair in MARKS for mark in pair}
    known = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    return frozenset(number for token, number in known if token in marks)
