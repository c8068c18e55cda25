"""`--set KEY=VALUE`: values given on the command line in place of the recipe's.

KEY is a key of the recipe (`seed`), a path through it (`process.0.video_duration_filter.min_duration`), or begins with the name
of an op (`video_duration_filter.min_duration`), with its number if there are several (`video_duration_filter[3].min_duration`).
VALUE is YAML.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from typing import Any

from juicecap.errors import RecipeError, UsageError
from juicecap.recipe.problems import shown, suggestion
from juicecap.recipe.yaml.source import Source
from juicecap.recipe.yaml.values import KeyPath, parse
from juicecap.text import numbered

_NUMBERED = re.compile(r"(.+)\[(\d{1,6})\]")


def apply_overrides(source: Source, overrides: Sequence[str], known_keys: Collection[str]) -> None:
    """Set each of the `KEY=VALUE` in turn.

    Raises:
        UsageError: one of them leads nowhere, or is not KEY=VALUE.
    """
    for option in overrides:
        key, equals, value = option.partition("=")
        words = key.strip().split(".")
        if not equals or not all(words):
            raise UsageError(f"--set takes KEY=VALUE, such as seed=4, not {option!r}")
        trail = _trail(source, words, known_keys, option)
        source.set(trail, value_of(option, value.strip()), option)


def value_of(option: str, text: str) -> Any:
    """The value that a text is, as YAML.

    Raises:
        UsageError: it is none.
    """
    try:
        parsed = parse(text, f"--set {option}")
    except RecipeError as error:
        raise UsageError(f"--set {option}: {error.problems[0].message}") from None
    if parsed.problems:
        raise UsageError(f"--set {option}: {parsed.problems[0].message}")
    return parsed.values


def _trail(source: Source, words: list[str], known_keys: Collection[str], option: str) -> KeyPath:
    """From the words of KEY to the place that is set; an op without parameters is given an empty mapping for them."""
    first = words[0]
    if first in source.values or first in known_keys:
        if len(words) > 1 and first not in source.values:
            raise UsageError(f"--set {option}: the recipe has no {first!r} to set a part of")
        trail: KeyPath = ()
    else:
        trail = _op_trail(source, first, known_keys, option)
        words = words[1:]
        if not words:
            raise UsageError(f"--set {option}: {first!r} is an op; name one of its parameters: {first}.PARAMETER=VALUE")
    for position, word in enumerate(words):
        trail = (*trail, _step(source, trail, word, option, is_last=position == len(words) - 1))
    return trail


def _op_trail(source: Source, word: str, known_keys: Collection[str], option: str) -> KeyPath:
    """The place of the op that `word` names, perhaps with its number."""
    process = source.values.get("process")
    items = process if isinstance(process, list) else []
    split = _NUMBERED.fullmatch(word)
    name, number = (split[1], int(split[2])) if split else (word, 0)
    found = [index + 1 for index, item in enumerate(items) if item == name or (isinstance(item, dict) and name in item)]
    if not found:
        ops = [str(key) for item in items for key in (item if isinstance(item, dict) else [item])]
        hint = suggestion(name, [*known_keys, *ops])
        raise UsageError(f"--set {option}: {name!r} is neither a key of a recipe nor an op of this one{hint and f'; {hint}'}")
    if number not in found and (number or len(found) > 1):
        options = (shlex.quote(option.replace(word, numbered(name, each), 1)) for each in found)
        what = f"op {number} is not {name!r}" if number else f"{name!r} stands in process {len(found)} times"
        raise UsageError(f"--set {option}: {what}; give {' or '.join(f'--set {each}' for each in options)}")
    return ("process", (number or found[0]) - 1, name)


def _step(source: Source, trail: KeyPath, word: str, option: str, *, is_last: bool) -> str | int:
    """The key or position that `word` means in what stands at `trail`."""
    parent = _opened(source, trail, word)
    where = ".".join(map(str, trail))
    if isinstance(parent, list):
        if word.isdecimal() and int(word) < len(parent):
            return int(word)
        raise UsageError(f"--set {option}: {where} is a list of {len(parent)}, counted from 0; it has no {word!r}")
    if not isinstance(parent, dict):
        raise UsageError(f"--set {option}: {where} is {shown(parent)}, which has no parts")
    key: str | int = int(word) if word.isdecimal() and int(word) in parent else word
    if is_last:
        return key
    if parent.get(key) is None and len(trail) >= len(("process", "index", "op")):  # a mapping among parameters
        source.set((*trail, key), {}, option)
    elif key not in parent:
        raise UsageError(f"--set {option}: {where} has no {word!r}{_or_near(word, parent)}")
    return key


def _opened(source: Source, trail: KeyPath, word: str) -> Any:
    """What stands at `trail`, where an op without parameters (`- name` or `- name:`) is made ready to take some."""
    match trail:
        case ("process", int(index)) if source.at(trail) == word:
            source.values["process"][index] = {word: {}}
        case ("process", int(index), name):
            item = source.at(trail[:2])
            if item == name:
                source.values["process"][index] = {name: {}}
            elif isinstance(item, dict) and item.get(name) is None:
                item[name] = {}
    return source.at(trail)


def _or_near(word: str, parent: dict[str | int, Any]) -> str:
    hint = suggestion(word, map(str, parent))
    return f"; {hint}" if hint else ""
