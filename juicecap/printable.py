"""Texts of others on a terminal: they show themselves, and change nothing else there."""

from __future__ import annotations

import re

_OBEYED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tabs and line feeds
    "\u2028\u2029"  # other ends of lines
    "\u202a-\u202e\u2066-\u2069"  # what turns the direction of writing, so that a text reads otherwise than it is
    "\ud800-\udfff"  # halves of surrogate pairs, which no encoding can write
    "]"
)


def printable(text: str) -> str:
    """The text with a replacement character for each that a terminal might obey instead of showing it."""
    return _OBEYED.sub("\ufffd", text)


def escaped(json: str) -> str:
    """JSON that says the same, with an escape for each such character, which can only be a part of a text."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def one_line(text: str, most: int) -> str:
    """As `printable`, on one line and cut to `most` characters."""
    line = printable(text).replace("\n", "\ufffd").replace("\t", " ")
    return line if len(line) <= most else f"{line[: most - 1]}…"
