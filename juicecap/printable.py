"""Makes foreign texts safe for a terminal: characters that would control it are removed.

Meant are control characters (the escape sequences of terminals begin with them), marks that turn the direction of writing, by
which a line can say something else than it shows, and halves of surrogate pairs, which stand for bytes in names of files.
"""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with a sign in place of each such character; tabs and line feeds stay."""
    return _UNPRINTABLE.sub("\ufffd", text)


def printable_line(text: str) -> str:
    """The same for what must stay within its line, such as the name of a file."""
    return printable(text).replace("\n", "\ufffd")


def escaped(text: str) -> str:
    """The text with each character that shows nothing as Python escapes it."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def folded(text: str) -> str:
    """The text on one line, each stretch of white space as one space."""
    return printable(" ".join(text.split()))


def printable_json(text: str) -> str:
    """JSON in which such characters are escaped, so that it says the same."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str, most: int) -> str:
    """As `printable_line`, cut to `most` characters."""
    line = printable_line(text)
    return line if len(line) <= most else f"{line[: most - 1]}…"
