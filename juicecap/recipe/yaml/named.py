"""Messages about a recipe that show the names of variables in place of their values.

A value of some length is known again wherever it stands (`hidden`). In a problem, whose place is known, shorter ones are found
too: what is quoted, what stands behind `not`, what stands in brackets behind a parameter's name; and in a message about one
parameter its values as words.
"""

from __future__ import annotations

import copy
import os
import re
from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from juicecap import sample
from juicecap.hidden import Hidden
from juicecap.recipe.problems import shown
from juicecap.recipe.yaml.environment import Filled
from juicecap.recipe.yaml.values import KeyPath

SHORTEST_WORD = 3
"""Characters of a value that is looked for as a word; a shorter one is found in quotes, behind `not` and in brackets."""

_ITEM, _OP = len(("process", "index")), len(("process", "index", "op"))
_QUOTED = re.compile(r"""(?=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))""", re.DOTALL)
_IN_BRACKETS = re.compile(r"\b\w+ \([^()]*\)")


class Named:
    """What is known of the values that variables gave. `values` are those of the whole recipe."""

    def __init__(self, values: Any, filled: Mapping[KeyPath, Filled]) -> None:
        self._values, self._filled = values, filled
        # The names of ops are no secrets, and what a run tells of them is looked up by them.
        known = [each for trail, each in filled.items() if trail[:1] != ("process",) or len(trail) >= _OP]
        self.hidden = Hidden({value: f"${{{name}}}" for each in known for name, value in each.values})
        self._below: dict[KeyPath, list[KeyPath]] = {}
        self._phrases: dict[KeyPath, dict[str, str]] = {}
        for trail, each in filled.items():
            if each.values:
                for length in range(len(trail) + 1):
                    self._below.setdefault(trail[:length], []).append(trail)
                phrases = self._phrases.setdefault(_block(trail), {})
                phrases[repr(each.text)] = repr(each.named)
                phrases[f"{trail[-1]} ({each.value})"] = f"{trail[-1]} ({each.named})"

    def message(self, trail: KeyPath, message: str) -> str:
        """The message about what stands at `trail`."""
        if not message or not self._below:
            return message
        if "not " in message:
            for value, named in self._shapes(trail):
                for each in (shown, sample.short_repr, repr):
                    message = message.replace(f"not {each(value)}", f"not {each(named)}")
        known = ChainMap(*(self._phrases.get(place, {}) for place in dict.fromkeys((_block(trail), trail[:_ITEM], ()))))
        message = _IN_BRACKETS.sub(lambda found: known.get(found[0], found[0]), _quoted(message, known))
        if _is_parameter(trail):
            for inner in self._below.get(trail, ()):
                message = _without_words(message, self._filled[inner])
        return self.hidden.text(message)

    def _shapes(self, trail: KeyPath) -> Iterator[tuple[Any, Any]]:
        """The value at `trail`, as it may be read, and with variables by their names in it."""
        below = self._below.get(trail, ())
        if not below:
            return
        value = self._values
        for step in trail:
            value = value[step]
        box: dict[str, Any] = {"": copy.deepcopy(value)}
        for inner in below:
            parent: Any = box
            steps = ["", *inner[len(trail) :]]
            for step in steps[:-1]:
                parent = parent[step]
            parent[steps[-1]] = self._filled[inner].named
        yield value, box[""]
        if _is_parameter(trail):
            for inner in below:
                each = self._filled[inner]
                yield from ((each.value, each.named), (each.text, each.named))


def _is_parameter(trail: KeyPath) -> bool:
    """Whether a message about `trail` speaks of what stands there and in it; one about an op speaks of much else."""
    return len(trail) > _OP if trail[:1] == ("process",) and len(trail) != _ITEM else bool(trail)


def _block(trail: KeyPath) -> KeyPath:
    """The parameters that a message about `trail` may name: those of its op, or else those of the whole recipe."""
    return trail[:_OP] if trail[:1] == ("process",) else ()


def _quoted(message: str, known: Mapping[str, str]) -> str:
    """The message with others in the place of quoted texts that are known. Any quote may begin one: there are apostrophes."""
    said, end = [], 0
    for found in _QUOTED.finditer(message):
        if found.start() >= end and found[1] in known:
            said += [message[end : found.start()], known[found[1]]]
            end = found.end(1)
    return "".join([*said, message[end:]])


def _without_words(message: str, filled: Filled) -> str:
    """The message about one value and nothing else with names in the place of the value and its parts."""
    words = [(filled.text, filled.named), *((value, f"${{{name}}}") for name, value in filled.values)]
    words += [(os.fspath(PurePath(text)), name) for text, name in words if "/" in text]
    if isinstance(filled.value, int):
        words.append((f"{filled.value:,}", filled.named))
    for text, name in words:
        if len(text) >= SHORTEST_WORD and text in message:
            message = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", name.replace("\\", r"\\"), message)
    return message
