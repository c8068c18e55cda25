"""Characters that nobody sees, and white space.

Zero-width characters stay where they belong to the writing: joiners between the parts of an emoji and behind letters of scripts
that shape words by them (Arabic, those of India, Mongolian), and breaks between words where no spaces are written (Thai, Khmer).
"""

from __future__ import annotations

import re

_SHAPED = "\u0600-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefe"
"""Letters behind which a zero-width character says something: from Arabic to Myanmar, Khmer, Mongolian, Arabic's other forms."""

_EMOJI = "\u2190-\u2bff\U0001f000-\U0001faff"

_INVISIBLE = re.compile(
    "(\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)"  # flags of regions, such as Scotland's
    f"|[\u200b\u200c](?<![{_SHAPED}].)"
    f"|\u200d(?<![{_SHAPED}].)(?:(?<![{_EMOJI}\ufe0f].)|(?![{_EMOJI}]))"
    "|[\u00ad\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
    "|[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]"
)
"""Zero-width characters, soft hyphens, marks of direction, byte order marks, tags and control characters."""

_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_UNUSUAL = re.compile(r"\s{2,}|[^\S ]")
_UNSPACED = re.compile("[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uffef\U00020000-\U0003ffff]")
"""What is written without spaces between words, or as wide as that: Chinese and Japanese, with their punctuation."""


def without_invisible(text: str) -> str:
    """The text without control characters (white space is none), and without invisible ones that its writing does not need."""
    return _INVISIBLE.sub(lambda found: found[1] or "", text)


def respaced(text: str, *, one_line: bool, single: bool) -> str:
    """The text with other white space.

    Args:
        text: any text.
        one_line: line breaks become a space, and nothing between Chinese or Japanese characters.
        single: white space within a line becomes one plain space; at the end of a line it goes, and at its beginning it stays.
    """

    def replaced(found: re.Match[str]) -> str:
        run, breaks = found[0], _BREAK.findall(found[0])
        if breaks and one_line:
            return "" if _is_unspaced(text, found.start() - 1) and _is_unspaced(text, found.end()) else " "
        if not single:
            return run
        return "\n" * len(breaks) + _BREAK.split(run)[-1] if breaks else " "

    return _UNUSUAL.sub(replaced, text)


def _is_unspaced(text: str, index: int) -> bool:
    return 0 <= index < len(text) and bool(_UNSPACED.match(text[index]))
