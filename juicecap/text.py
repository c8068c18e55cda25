"""What messages and requests are made of: the first line of an error, near names, names of ops, patterns of tokens."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def first_line(said: BaseException | str) -> str:
    """The first line of a text that says something; of an error that says nothing, its type."""
    otherwise = type(said).__name__ if isinstance(said, BaseException) else ""
    return next((line.strip() for line in str(said).splitlines() if line.strip()), otherwise)


def reason_of(error: BaseException) -> str:
    """What another library's error says, as a part of a sentence: its first line without the full stop."""
    return first_line(error).rstrip(".: ")


def near(word: object, words: Iterable[str]) -> str | None:
    """The one of `words` that `word` may be a misspelling of."""
    found = difflib.get_close_matches(str(word), [each for each in words if each != word], n=1, cutoff=0.6)
    return found[0] if found else None


def nearest(word: str, words: Iterable[str], most: int) -> list[str]:
    """The `most` of `words` that are nearest to `word`, however far that is; the nearest first."""
    return difflib.get_close_matches(word, words, n=most, cutoff=0.0)


def numbered(op: str, step: int) -> str:
    """An op by its name and its number in the recipe (`video_duration_filter[1]`); without a number (0) by its name."""
    return f"{op}[{step}]" if step else op


def any_of(tokens: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the tokens, the longer one where one begins another."""
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))))


def control_tokens(tokens: Iterable[str]) -> re.Pattern[str] | None:
    """Matches any of a model's control tokens but those of one letter; None if there are none."""
    written = [token for token in tokens if len(token.strip()) > 1]
    return any_of(written) if written else None


def as_plain_text(text: str, tokens: re.Pattern[str] | None) -> str:
    """The text with a space inside of each control token, so that it is read as text."""
    return tokens.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text) if tokens else text


def valid(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair that stands alone; two that belong together become one character.

    JSON's escapes can spell such a half (a cut emoji), which is no character and cannot be written down.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
