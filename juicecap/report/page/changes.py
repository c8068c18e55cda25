"""What an op that asks no model made of a sample's fields: before and after, with the words that differ marked."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from juicecap.report.page.html import Element, element
from juicecap.report.page.values import value
from juicecap.sample import Sample, same_value

MOST_WORDS = 1500
"""Words and spaces of a text that is compared word by word; comparing takes the square of them."""

_WORDS = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")
"""Spaces, words, signs, and each character of scripts that put no space between words."""


def changed(before: Sample, after: Sample) -> list[str]:
    """The fields that an op added, changed or removed."""
    return [
        key for key in {**before, **after} if key not in before or key not in after or not same_value(before[key], after[key])
    ]


def changes(before: Sample, after: Sample) -> Element:
    """Each changed field, before and after."""
    return element("dl", *(_change(key, before, after) for key in changed(before, after)), class_="changes")


def _change(key: str, before: Sample, after: Sample) -> Element:
    old, new = before.get(key), after.get(key)
    if isinstance(old, str) and isinstance(new, str) and _comparable(old, new):
        shown = [element("div", *pieces, dir="auto", class_="text") for pieces in _marked(old, new)]
    else:
        shown = [_whole(key, before), _whole(key, after)]
    sides = (
        element("dd", element("span", name, class_="side"), each) for name, each in zip(("before", "after"), shown, strict=True)
    )
    return element("div", element("dt", element("bdi", key)), *sides)


def _whole(key: str, sample: Sample) -> Element:
    return value(sample[key], 1) if key in sample else element("span", "not there", class_="plain")


def _comparable(old: str, new: str) -> bool:
    return bool(old.strip() and new.strip()) and max(len(_WORDS.findall(text)) for text in (old, new)) <= MOST_WORDS


def _marked(old: str, new: str) -> tuple[list[str | Element], list[str | Element]]:
    """Both texts in pieces, with elements around what only one of them has."""
    was, became = _WORDS.findall(old), _WORDS.findall(new)
    left: list[str | Element] = []
    right: list[str | Element] = []
    for kind, start, end, begin, finish in difflib.SequenceMatcher(None, was, became, autojunk=False).get_opcodes():
        left += _piece("del", "".join(was[start:end]), same=kind == "equal")
        right += _piece("ins", "".join(became[begin:finish]), same=kind == "equal")
    return left, right


def _piece(tag: str, text: str, *, same: bool) -> Iterator[str | Element]:
    if text:
        yield text if same else element(tag, text)
