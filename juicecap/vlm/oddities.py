"""What looks wrong in an answer at a glance: that it goes round in a loop, or refuses in prose.

Both are for counting, not for judging: they look at words and understand nothing.
"""

from __future__ import annotations

import math
import re

LEAST_TIMES, LEAST_WORDS = 3, 9
"""A loop ends in as many repetitions of the same words, of so many words in all."""

MOST_WORDS = 2000
"""Words at the end of an answer that are looked at."""

BEGINNING = 300
"""Characters in which a refusal shows."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
_SORRY = re.compile(
    r"\W*((i['\u2019]?m|i am|we['\u2019]re|we are)? ?(very |so |really )?(sorry|unable to|not able to|afraid)\b"
    r"|(i |my )?apologi[sz]e|as an ai\b"
    r"|(unfortunately,? )?(i|we) (can['\u2019]?t|cannot|can not|won['\u2019]?t|will not|am unable|must decline)\b)",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"(can['\u2019]?t|cannot|can not|won['\u2019]?t|will not|unable to|not able to|not comfortable|decline to)\W+(\w+\W+){0,3}"
    r"(help|assist|descri\w+|provide|caption|view|see|watch|access|process|analy[sz]e|identify|comply|fulfil\w*|answer|discuss|engage)",
    re.IGNORECASE,
)
_OTHERS = re.compile(r"\W*(很?抱歉|对不起|不好意思|申し訳|죄송)|\W*(我)?(无法|不能)(描述|提供|回答|查看|观看|协助)")


def loops(text: str) -> bool:
    """Whether a text ends in the same words several times over."""
    words = _WORD.findall(text.lower())[-MOST_WORDS:]
    for period in range(1, len(words) // LEAST_TIMES + 1):
        length = period * max(LEAST_TIMES, math.ceil(LEAST_WORDS / period))
        tail = words[-length:]
        if len(tail) == length and tail[period:] == tail[:-period]:
            return True
    return False


def refuses(text: str) -> bool:
    """Whether a text begins as the refusals of models do."""
    begin = text[:BEGINNING]
    return bool((_SORRY.match(begin) and _NOT.search(begin)) or _OTHERS.match(begin))
