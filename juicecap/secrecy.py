"""Keys of servers: known to this process from the moment they are read, and hidden wherever they come back.

A server, what stands before it, or a library may repeat a key in whatever it says: as it is, in another case, escaped for JSON, for an
address or for HTML (also twice), in hexadecimal digits, in base64 at any offset. Whoever keeps or shows a foreign text puts it through
`hidden` first, before it is cut: half a key would not be found any more. A text that is to be an answer is never changed, so
`key_in` says whether it holds a key.

What is shorter than `SHORTEST` may be a part of any word, so it is hidden only where its owner says so.

Not covered: a key that somebody takes apart on purpose (backwards, with a word in between).
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from functools import lru_cache

SHORTEST = 8
"""Characters of a key that is looked for in every text."""

MARK = "***"
"""What stands in the place of a key."""

_known: dict[str, str] = {}
"""Key to the name of the variable that holds it."""


def keep(key: str, name: str) -> None:
    """Hide this key from now on. `name` is the variable that holds it, for messages."""
    if len(key) >= SHORTEST:
        _known[key] = name


def hidden(text: str, *more: str, marks: Mapping[str, str] | None = None) -> str:
    """The text without any key that is known, and without `more`, which may be shorter. `marks` are what stands there instead, by key."""
    for key in _longest_first(*more):
        text = _spelled(key).sub((marks or {}).get(key, MARK).replace("\\", r"\\"), text)
    return text


def hidden_bytes(content: bytes) -> bytes:
    """The same for bytes that are not decoded yet."""
    for key in _longest_first():
        content = _spelled_in_bytes(key).sub(MARK.encode(), content)
    return content


def key_in(text: str) -> str:
    """The name of the variable whose key the text holds; empty if it holds none."""
    return next((_known[key] for key in _longest_first() if _spelled(key).search(text)), "")


def _longest_first(*more: str) -> list[str]:
    """All keys; one that is a part of another leaves no piece of it."""
    return sorted({*_known, *filter(None, more)}, key=lambda key: (-len(key), key))


@lru_cache(maxsize=256)
def _spelled(key: str) -> re.Pattern[str]:
    """Everything that reads as this key."""
    plain = "".join(map(_character, key))
    if len(key) < SHORTEST:
        return re.compile(plain)
    code = key.encode()
    in_base64 = "|".join("".join(_SIXTY_FOUR.get(each, each) for each in core) for core in _base64(code))
    return re.compile(f"(?i:{plain}|{code.hex()})|{in_base64}")


@lru_cache(maxsize=256)
def _spelled_in_bytes(key: str) -> re.Pattern[bytes]:
    return re.compile(_spelled(key).pattern.encode())


def _character(character: str) -> str:
    """A character as it is, escaped in JSON or Python (once or several times), in an address, or in HTML.

    All repetitions are bounded: a text of nothing but backslashes costs no more than another.
    """
    plain, code = re.escape(character), f"{ord(character):02x}"
    ways = [
        plain,
        rf"\\{{1,8}}(?:{plain}|u00{code}|u\{{0{{0,4}}{code}\}}|x{code})",
        f"%(?:25){{0,3}}{code}",
        f"&#(?:x0{{0,6}}{code}|0{{0,6}}{ord(character)});",
    ]
    if (named := html.escape(character)) != character:
        ways.append(named)
    return f"(?:{'|'.join(ways)})"


_SIXTY_FOUR = {"+": r"(?:[+-]|%2[bB])", "/": r"(?:\\{0,8}/|_|%2[fF])"}
"""Digits of base64 that are written in several ways."""


def _base64(code: bytes) -> list[str]:
    """What stands in base64 where these bytes begin a group of three, or come one or two bytes behind its beginning: the digits that
    depend on nothing else."""
    digits = []
    for before, first in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(bytes(before) + code).decode()
        digits.append(whole[first : (before + len(code)) * 8 // 6])
    return digits
