"""Whether an answer mixes scripts, as one does that falls into another language: "A ball rolls 在草地上 slowly.".

This is for counting, not for judging. What is quoted, titles, what stands in brackets, names with a capital letter and single
letters are no mixture, nor are a few words in a long text. Languages that share a script are not told apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

LEAST_SHARE, LEAST_WORDS = 0.1, 2
"""Share of the words, and number of them, that are of other scripts than most words are."""

BEGINNING = 20_000
"""Characters that are looked at."""

_SCRIPTS: Mapping[str, str] = {
    "latin": "[A-Za-z\u00c0-\u024f\u1e00-\u1eff]{2,}",
    "greek": "[\u0370-\u03ff\u1f00-\u1fff]{2,}",
    "cyrillic": "[\u0400-\u052f]{2,}",
    "hebrew": "[\u0590-\u05ff]{2,}",
    "arabic": "[\u0600-\u06ff\u0750-\u077f]{2,}",
    "indic": "[\u0900-\u0dff]{2,}",
    "thai_lao_burmese_khmer": "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{4}",
    "hangul": "[\uac00-\ud7af]{2,}",
    "han_kana": "[\u3040-\u30ff\u3400-\u9fff]{2}",
}
"""What a word is; where no spaces are written, as many letters as words usually have."""

_WORD = re.compile("|".join(f"(?P<{script}>{word})" for script, word in _SCRIPTS.items()))

_QUOTES = ('""', "\u201c\u201d", "\u201e\u201c", "«»", "「」", "『』", "《》", "〈〉", "【】", "()", "\uff08\uff09", "[]", "``")
_EXCEPTED = re.compile(
    "|".join(f"{re.escape(begin)}[^{re.escape(begin + end)}]{{1,500}}{re.escape(end)}" for begin, end in map(tuple, _QUOTES))
    + "|(?<!\\w)['\u2018][^'\u2018\u2019\n]{1,200}['\u2019](?!\\w)"
)
"""Quoted text and what stands in brackets, the innermost."""


def mixes_scripts(text: str) -> bool:
    """Whether there are words of another script than most words have."""
    if text.isascii():
        return False
    running = _EXCEPTED.sub(" ", text[:BEGINNING])
    words = [(str(found.lastgroup), found[0]) for found in _WORD.finditer(running)]
    usual = Counter(script for script, _ in words).most_common(1)
    strange = sum(script != usual[0][0] and word == word.lower() for script, word in words)
    return strange >= max(LEAST_WORDS, LEAST_SHARE * len(words))
