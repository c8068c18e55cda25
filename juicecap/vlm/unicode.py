"""Texts that can be written down: JSON's escapes can spell half of a surrogate pair (a cut emoji), which is no character."""

from __future__ import annotations


def valid(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair that stands alone; two that belong together become one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
