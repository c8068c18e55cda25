"""Values of samples as a reader expects them: texts as texts, objects as tables, lists as lists, messages as a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from juicecap.report.page.html import Element, element, foreign
from juicecap.report.words import as_json, plural
from juicecap.sample import json_in_cell

FOLDED = 12
"""Values from which on an object or a list inside of a record is folded."""

LONG = 1500
"""Characters from which on a text is folded."""

DEEPEST = 5
"""Levels of objects and lists that are shown as such; JSON stands for what is inside of them."""

_NONE: Mapping[str, str] = {}

_TEXT_KEYS, _ROLE_KEYS = ("content", "value"), ("role", "from")


def record(sample: Mapping[str, Any], marks: Mapping[str, str] = _NONE) -> Element:
    """A sample, field by field; `marks` are words behind the names of some."""
    return element("dl", *_fields(sample, 0, marks), class_="record")


def value(content: Any, depth: int = 0) -> Element:
    """Any JSON value."""
    if isinstance(content, str):
        return text(content, depth)
    if isinstance(content, list | tuple) and content and all(map(_is_message, content)):
        return element("ol", *map(_message, content), class_="conversation")
    if isinstance(content, Mapping | list | tuple) and content and depth < DEEPEST:
        return _folded(_object(content, depth) if isinstance(content, Mapping) else _list(content, depth), content, depth)
    return element("bdi", as_json(content), class_="plain")


def _object(content: Mapping[str, Any], depth: int) -> Element:
    return element("dl", *_fields(content, depth))


def _list(content: Sequence[Any], depth: int) -> Element:
    return element("ul", *(element("li", value(each, depth + 1)) for each in content), class_="list")


def text(content: str, depth: int = 0) -> Element:
    """A text; one that is an object or a list in JSON is shown as that."""
    if not content.strip():
        return element("span", f"{plural(len(content), 'space')}" if content else "empty", class_="plain")
    if content.lstrip().startswith(("{", "[")):
        with suppress(ValueError):
            return value(json_in_cell(content), depth)
    whole = foreign("div", content, class_="text")
    if len(content) <= LONG:
        return whole
    beginning = f"{content[:100].strip()}… ({len(content):,} characters)"
    return element("details", foreign("summary", beginning), whole)


def _fields(content: Mapping[str, Any], depth: int, marks: Mapping[str, str] = _NONE) -> Iterator[Element]:
    for key, each in content.items():
        mark = element("span", f" {marks[key]}", class_="tag") if key in marks else None
        yield element("div", element("dt", element("bdi", str(key)), mark), element("dd", value(each, depth + 1)))


def _folded(shown: Element, content: Mapping[str, Any] | Sequence[Any], depth: int) -> Element:
    """What is inside of a record and large, behind a line that says how large."""
    if depth == 0 or _size(content) < FOLDED:
        return shown
    noun = "field" if isinstance(content, Mapping) else "value"
    return element("details", element("summary", plural(len(content), noun)), shown)


def _size(content: Any) -> int:
    """The number of values inside."""
    if isinstance(content, Mapping):
        return sum(map(_size, content.values()))
    return sum(map(_size, content)) if isinstance(content, list | tuple) else 1


def _is_message(content: Any) -> bool:
    return (
        isinstance(content, Mapping) and any(key in content for key in _ROLE_KEYS) and any(key in content for key in _TEXT_KEYS)
    )


def _message(message: Mapping[str, Any]) -> Element:
    role = str(next(message[key] for key in _ROLE_KEYS if key in message))
    said = next(message[key] for key in _TEXT_KEYS if key in message)
    parts = said if isinstance(said, list | tuple) else [said]
    others = {key: each for key, each in message.items() if key not in (*_ROLE_KEYS, *_TEXT_KEYS) and each is not None}
    kind = "question" if role in ("user", "human", "system") else "reply"
    more = element("dl", *_fields(others, 1)) if others else None
    return element("li", foreign("p", role, class_="role"), *map(_part, parts), more, class_=kind)


def _part(part: Any) -> Element:
    """A part of a message: its text, or the medium that stands there."""
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return text(part["text"], 1)
    return value(part, 1)
