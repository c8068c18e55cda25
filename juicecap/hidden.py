"""Texts that messages must not show, such as the values of variables: each is replaced by its name.

Messages are problems, warnings, errors and logs about a recipe and its run, and not results (exports, tables, paths of written
files). A text is found as it is, as Python, JSON, HTML, an address or a path spell it, and where a message shows its first
characters and says that it goes on (`…`).
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from juicecap.errors import JuicecapError, causes

SHORTEST = 8
"""Characters: what is shorter may be a part of any word, and is hidden only where it is known to stand."""

CUT = "…"
"""What stands behind a text of which a message shows the beginning."""

LONGEST_BEGINNING = 1000
"""Characters of a text that a message shows before it cuts it, at most."""


@dataclass(frozen=True)
class Hidden:
    """Removes texts from messages. `names` has for each text its replacement, such as `${NAME}`."""

    names: Mapping[str, str]

    def text(self, text: str) -> str:
        """The text with names in the place of what must not be shown."""
        pieces = [text]  # in turn what is left of the text and the names between
        for way, name in self._spelled.items():
            if way in text:
                pieces = [each for number, piece in enumerate(pieces) for each in _parted(piece, way, name, number)]
        text = "".join(pieces)
        return self._without_beginnings(text) if CUT in text else text

    def facts(self, facts: Any) -> Any:
        """The same data with no such text in any of its texts; keys of mappings stay."""
        if isinstance(facts, str):
            return self.text(facts)
        if isinstance(facts, dict):
            return {key: self.facts(each) for key, each in facts.items()}
        if isinstance(facts, tuple):
            return tuple(map(self.facts, facts))
        return list(map(self.facts, facts)) if isinstance(facts, list) else facts

    @contextmanager
    def in_errors(self) -> Iterator[None]:
        """Errors that leave the block, and their causes, show names."""
        try:
            yield
        except Exception as error:
            if self._spelled:
                for each in causes(error):
                    with suppress(AttributeError, TypeError):  # an exception of a library that is made otherwise
                        each.args = self.facts(tuple(each.args))
                    if isinstance(each, JuicecapError):
                        vars(each).update(self.facts(vars(each)))
            raise

    @cached_property
    def _spelled(self) -> dict[str, str]:
        """Each way in which a text may be written, the longest first."""
        long = {text: name for text, name in self.names.items() if len(text.strip()) >= SHORTEST}
        found = {way: name for text, name in long.items() for way in _ways(text) if len(way) >= SHORTEST}
        return dict(sorted(found.items(), key=lambda each: -len(each[0])))

    def _without_beginnings(self, text: str) -> str:
        """The text without beginnings of what must not be shown, behind which something is left out."""
        pieces = text.split(CUT)
        for way, name in self._spelled.items():
            if way[:SHORTEST] in text:
                pieces[:-1] = [_without_end(piece, way, name) for piece in pieces[:-1]]
        return CUT.join(pieces)


NOTHING = Hidden({})
"""Shows everything."""


def _parted(piece: str, way: str, name: str, number: int) -> list[str]:
    """Of a piece of the text, which has an even number, the pieces around each `way` in it, and the names between."""
    if number % 2:
        return [piece]
    first, *others = piece.split(way)
    return [first, *(each for other in others for each in (name, other))]


def _without_end(piece: str, way: str, name: str) -> str:
    """The piece with the name in the place of the longest beginning of `way` at its end."""
    for length in range(min(len(way), len(piece), LONGEST_BEGINNING), SHORTEST - 1, -1):
        if piece.endswith(way[:length]):
            return piece[:-length] + name
    return piece


def _ways(text: str) -> set[str]:
    """How a text may be written in a message."""
    return {
        way
        for each in (text, text.strip())
        for way in (
            each,
            repr(each)[1:-1],
            json.dumps(each)[1:-1],
            json.dumps(each, ensure_ascii=False)[1:-1],
            html.escape(each),
            quote(each),
            quote(each, safe=""),
            *((os.fspath(PurePath(each)), os.path.normpath(each)) if "/" in each else ()),
        )
    }
