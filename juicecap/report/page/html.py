"""Elements of an HTML page, and how they are written down.

Every text is escaped where it is written, there is no other way into a page: a caption is a text, whatever it looks like.
Characters that show nothing, or that turn the direction of writing for what follows, are written as their names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

_VOID = {"img", "link", "meta", "wbr"}
"""Elements that have no end tag."""

_UNSEEN = re.compile("([\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff])")
"""Controls, separators, marks that turn the direction of writing, and halves of surrogate pairs."""

_OURS = {"class", "content", "href", "id", "lang", "src"}
"""Attributes that hold nothing of a user's."""


@dataclass(frozen=True)
class Element:
    """An element with its attributes; an attribute that is True has no value, and one that is None or False is left out."""

    tag: str
    children: tuple[str | Element, ...] = ()
    attributes: Mapping[str, str | bool | None] = field(default_factory=dict)

    def html(self, shown: Callable[[str], str]) -> str:
        """The element as HTML. `shown` takes out of each text what it must not show."""
        return "".join(_pieces(self, shown))


def element(tag: str, *children: str | Element | None, **attributes: str | bool | None) -> Element:
    """An element; children that are None are left out. `class_` is the attribute `class`, and `aria_label` is `aria-label`."""
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    return Element(tag, tuple(child for child in children if child is not None), named)


def foreign(tag: str, text: str, **attributes: str | bool | None) -> Element:
    """An element with a text of a user's or a model's, in the direction in which it is written."""
    return element(tag, text, dir="auto", **attributes)


def _pieces(element: Element, shown: Callable[[str], str]) -> Iterator[str]:
    yield f"<{element.tag}"
    for name, value in element.attributes.items():
        if value is True:
            yield f" {name}"
        elif value is not None and value is not False:
            yield f' {name}="{escape(_named(value if name in _OURS else shown(value)))}"'
    yield ">"
    for child in element.children:
        if isinstance(child, Element):
            yield from _pieces(child, shown)
        else:
            yield _written(shown(child))
    if element.tag not in _VOID:
        yield f"</{element.tag}>"


def _written(text: str) -> str:
    """A text between tags: with an element of its own for each character that cannot be seen."""
    pieces = _UNSEEN.split(text.replace("\r\n", "\n"))
    return "".join(
        f'<span class="unseen">U+{ord(piece):04X}</span>' if number % 2 else escape(piece, quote=False)
        for number, piece in enumerate(pieces)
    )


def _named(text: str) -> str:
    """A text in an attribute, where nothing can be marked."""
    return _UNSEEN.sub(lambda found: f"(U+{ord(found[0]):04X})", text)
