"""What stands around a whole caption: a code fence, Markdown, quotation marks. What stands around a part of it stays."""

from __future__ import annotations

import re
from contextlib import suppress

from juicecap.sample import json_in_cell

_FENCES = ("```", "~~~")
_LANGUAGE = re.compile(r"[\w+.-]*")

_MARKS = ("***", "___", "**", "__", "*", "_", "`")
_RULE = re.compile(r"\A[-*_]{3,}[ \t\r]*\n|\n[ \t]*[-*_]{3,}\Z")
_HEADING = re.compile(r"\A#{1,6}[ \t]+(?=\S)(?=[^\n]*\Z)")

_QUOTES = ('"', '"'), ("\u201c", "\u201d"), ("\u201e", "\u201c"), ("\u201e", "\u201d"), ("«", "»"), ("「", "」"), ("『", "』")
_SINGLE_QUOTES = ("'", "'"), ("\u2018", "\u2019")
_NO_APOSTROPHE = re.compile("(?<!\\w)['\u2018\u2019]|['\u2018\u2019](?!\\w)")
_SENTENCE_ENDS = (".", "!", "?", "\u2026")


def holds_json(text: str) -> bool:
    """Whether the whole text is an object or a list in JSON, in a fence or not."""
    text = without_fence(text)
    if text.startswith(("{", "[")):
        with suppress(ValueError):
            json_in_cell(text)
            return True
    return False


def without_fence(text: str) -> str:
    """The text without the fence around all of it, and without the language that it names."""
    for mark in _FENCES:
        if text.startswith(mark) and text.endswith(mark) and text.count(mark) == 2:  # noqa: PLR2004  (one in front, one behind)
            language, line_break, code = text.removeprefix(mark).removesuffix(mark).partition("\n")
            return (code if line_break and _LANGUAGE.fullmatch(language.strip()) else language + line_break + code).strip()
    return text


def without_markup(text: str) -> str:
    """The text without Markdown around all of it: rules, a heading of one line, a block quote, bold, italics or code."""
    text = _HEADING.sub("", _RULE.sub("", text).strip())
    if text.startswith(">") and all(line.startswith(">") for line in text.splitlines()):
        return "\n".join(line.removeprefix(">").strip() for line in text.splitlines())
    for mark in _MARKS:
        inner = _inside(text, mark, mark)
        if inner and inner == inner.strip() and mark[0] not in inner:
            return inner
    return text


def without_quotes(text: str) -> str:
    """The text without the quotation marks around all of it. Single ones go around a whole sentence only."""
    for begin, end in _QUOTES:
        inner = _inside(text, begin, end)
        if inner and begin not in inner and end not in inner:
            return inner
    for begin, end in _SINGLE_QUOTES:
        inner = _inside(text, begin, end)
        if inner.endswith(_SENTENCE_ENDS) and not _NO_APOSTROPHE.search(inner):
            return inner
    return text


def _inside(text: str, begin: str, end: str) -> str:
    """What stands between two marks at the ends of the text; empty if they do not stand there."""
    inside = len(text) >= len(begin) + len(end) and text.startswith(begin) and text.endswith(end)
    return text[len(begin) : -len(end)] if inside else ""
