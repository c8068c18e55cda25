"""What becomes of a caption's text: line breaks, and tokens that a trainer would take for a medium."""

from __future__ import annotations

import re

_BREAKS = re.compile(r"[^\S\n\r\v\f\x1c-\x1e\x85\u2028\u2029]*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
"""Line breaks, as `str.splitlines` has them, with the white space around them."""

_TOKENS = re.compile(r"<(?=/?(?:image|video|audio|im_start|im_end|vi_start|vi_end|im_patch|s)>|\|[A-Za-z_]+\|>)", re.IGNORECASE)
"""What begins a token of a medium (`<video>`), or of a chat template (`<|im_end|>`, `</s>`)."""


def one_line(text: str) -> str:
    """The text with a space for each run of line breaks, and none around it. Tabs and spaces inside of a line stay."""
    return _BREAKS.sub(" ", text.strip())


def has_token(text: str) -> bool:
    """Whether a trainer would take something in the text for a token."""
    return _TOKENS.search(text) is not None


def escaped(text: str) -> str:
    """The text with a space inside of each token, so that it is read as text: `<video>` is `< video>`."""
    return _TOKENS.sub("< ", text)


_MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN",
    "None", "n/a", "nan", "null",
)  # fmt: skip
"""Texts of cells that pandas takes for missing values (`read_csv`, `na_values`), in quotes or not."""


def reads_as_missing(text: str) -> bool:
    """Whether pandas, reading a CSV, takes the text for a missing value."""
    return text in _MISSING
