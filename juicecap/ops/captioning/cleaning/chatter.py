"""What a model says to the person who asked, in front of the caption and behind it; in English and in Chinese.

A preamble announces the caption ("Here is a description of the video:"), agrees ("Sure!"), offers help or names what follows
("Caption:"). It must do so in full: a caption that begins with the same words ("Here is where the river ends.") stays. A closing
is a sentence at the very end, without quotation marks, that offers more ("Let me know if …").

An opener is a part of the caption, but one that says only that there is a picture ("The video shows …").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from juicecap.ops.captioning.cleaning import chinese, english

_CLOSING_WITHIN = 600
"""Characters at the end of a text in which its last sentence is looked for."""

_LANGUAGES = (english, chinese)

_NAME = rf"(?: {'|'.join(each.NAMES for each in _LANGUAGES)} )"
_NAMED = rf"""
    {_NAME} \s*[:\uff1a]
  | (?P<bold> \*{{1,3}} | _{{1,3}} ) {_NAME} (?: \s*[:\uff1a]\s*(?P=bold) | (?P=bold) (?: \s*[:\uff1a] | (?=\s*\n) ) )
  | \#{{1,6}}\s+ [*_]{{0,3}} {_NAME} [*_]{{0,3}} (?: \s*[:\uff1a] | (?=\s*\n) )
"""
"""The name of what follows, and a colon. If it is bold, or a heading, the end of the line does as well."""


def _compiled(patterns: Sequence[str]) -> list[re.Pattern[str]]:
    return [re.compile(pattern, re.IGNORECASE | re.VERBOSE) for pattern in patterns]


_PREAMBLES = _compiled([*(pattern for each in _LANGUAGES for pattern in each.PREAMBLES), _NAMED])
_CLOSINGS = _compiled([pattern for each in _LANGUAGES for pattern in each.CLOSINGS])
_OPENERS = _compiled([pattern for each in _LANGUAGES for pattern in each.OPENERS])


def without_preamble(text: str) -> str:
    """The text without the first thing in front that is no caption."""
    return _without_first(_PREAMBLES, text)


def without_closing(text: str) -> str:
    """The text without its last sentence, if that is a closing."""
    begin = max(0, len(text) - _CLOSING_WITHIN)
    found = next(filter(None, (pattern.search(text, begin) for pattern in _CLOSINGS)), None)
    return text[: found.start()].rstrip() if found else text


def without_opener(text: str) -> str:
    """The text without its opener; what follows begins with a capital letter. Text that is nothing else stays."""
    rest = _without_first(_OPENERS, text)
    return text if rest in ("", text) else rest[:1].upper() + rest[1:]


def _without_first(patterns: Sequence[re.Pattern[str]], text: str) -> str:
    found = next(filter(None, (pattern.match(text) for pattern in patterns)), None)
    return text[found.end() :].lstrip() if found else text
