"""Keys of servers: registered when they are read, and hidden wherever they appear.

A server, a gateway before it, or a library may repeat a key in whatever it says: as it is, in another case, escaped for JSON, for
an address or for HTML (also twice), in hexadecimal digits, in base64 at any offset. Foreign texts go through `hidden` before they
are kept, shown or cut: half a key would not be found any more. A text that is to be an answer is never changed, so `key_in` says
whether it holds a key.

What is shorter than `SHORTEST` may be a part of any word, so it is hidden only where its owner says so.

Not covered: a key that somebody takes apart on purpose (backwards, with a word in between), and the half that a server cut off.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from functools import cached_property, lru_cache

SHORTEST = 8
"""Characters of a key that is looked for in every text."""

MARK = "***"
"""The replacement of a key."""

TOKENS = (
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN",
    "OSS_ACCESS_KEY_SECRET", "OSS_SECRET_ACCESS_KEY",
)  # fmt: skip
"""Variables from which the libraries of the Hub and of stores read secrets."""

_known: dict[str, str] = {}
"""Key to the name of the variable that holds it."""


def keep(key: str, name: str) -> None:
    """Hide this key from now on. `name` is the variable that holds it, for messages."""
    if len(key) >= SHORTEST:
        _known[key] = name


def hidden(text: str, *more: str, marks: Mapping[str, str] | None = None) -> str:
    """The text without any key that is known, and without `more`, which may be shorter.

    `marks` has other replacements than `MARK`, by key.
    """
    for key in _longest_first(*more):
        spelled, mark = _spelled(key), (marks or {}).get(key, MARK)
        if spelled.may_be_in(text):
            text = spelled.pattern.sub(mark.replace("\\", r"\\"), text)
    return text


def hidden_bytes(content: bytes, *more: str) -> bytes:
    """The same for bytes that are not decoded yet; what is short is left for `hidden`, since it may be a name in JSON."""
    for key in _longest_first(*(each for each in more if len(each) >= SHORTEST)):
        content = _spelled(key).pattern_of_bytes.sub(MARK.encode(), content)
    return content


def key_in(text: str) -> str:
    """The name of the variable whose key the text holds; empty if it holds none."""
    return next((_known[key] for key in _longest_first() if _spelled(key).is_in(text)), "")


def _longest_first(*more: str) -> list[str]:
    """All keys; one that is a part of another leaves no piece of it."""
    return sorted({*_known, *filter(None, more)}, key=lambda key: (-len(key), key))


class _Spelled:
    """Everything that reads as this key."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._is_long = len(key) >= SHORTEST
        self._in_base64 = _base64(key.encode()) if self._is_long else []

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        plain = "".join(map(_character, self._key))
        if not self._is_long:
            return re.compile(plain)
        in_base64 = "|".join("".join(_DIGITS.get(each, each) for each in digits) for digits in self._in_base64)
        return re.compile(f"(?i:{plain}|{self._key.encode().hex()})|{in_base64}")

    @cached_property
    def pattern_of_bytes(self) -> re.Pattern[bytes]:
        return re.compile(self.pattern.pattern.encode())

    def is_in(self, text: str) -> bool:
        return self.may_be_in(text) and self.pattern.search(text) is not None

    def may_be_in(self, text: str) -> bool:
        """Whether the pattern need be looked for; a usual caption takes some microseconds."""
        if any(mark in text for mark in _ESCAPES):
            return True
        if not self._is_long:
            return self._key in text
        small = text.lower()
        return any(each in small for each in self._small) or any(each in text for each in self._exact)

    @cached_property
    def _small(self) -> tuple[str, ...]:
        return self._key.lower(), self._key.encode().hex()

    @cached_property
    def _exact(self) -> tuple[str, ...]:
        in_addresses = [digits.translate(_IN_ADDRESSES) for digits in self._in_base64]
        return tuple(dict.fromkeys([*self._in_base64, *in_addresses]))


_spelled = lru_cache(maxsize=256)(_Spelled)


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


_ESCAPES = ("\\", "%", "&")
"""What begins an escaped character."""

_DIGITS = {"+": r"(?:[+-]|%2[bB])", "/": r"(?:\\{0,8}/|_|%2[fF])"}
"""Digits of base64 that are written in several ways."""

_IN_ADDRESSES = str.maketrans("+/", "-_")


def _base64(code: bytes) -> list[str]:
    """These bytes in base64 where they begin a group of three, and where they come one or two bytes behind its beginning.

    Only the digits that depend on nothing else.
    """
    digits = []
    for before, first in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(bytes(before) + code).decode()
        digits.append(whole[first : (before + len(code)) * 8 // 6])
    return digits
