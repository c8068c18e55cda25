"""A recipe that is given in Python, as a dict of what a YAML file would hold.

Paths become texts and tuples become lists; what YAML has no word for is a problem. Nothing has a line there: problems name the
path of the key, `process[0].video_duration_filter.max_duration`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from juicecap.recipe.problems import Problem, failure
from juicecap.recipe.yaml.compose import MAX_DEPTH, MAX_NODES
from juicecap.recipe.yaml.values import INT_BITS, KeyPath, Parsed, key_path
from juicecap.sample import short_repr

FILE = "recipe"
"""What stands for the file's path; beside it, in the working directory, is what the recipe includes."""


def of_mapping(values: Mapping[Any, Any]) -> Parsed:
    """The values of a dict, copied.

    Raises:
        RecipeError: it is nested more deeply, or larger, than a recipe can be.
    """
    parsed = Parsed(FILE, "", is_mapping=True)
    parsed.values = _Plain(parsed).of(values, ())
    return parsed


class _Plain:
    """Copies values, and notes those that no recipe can hold."""

    def __init__(self, parsed: Parsed) -> None:
        self._parsed = parsed
        self._count = 0

    def of(self, value: Any, trail: KeyPath) -> Any:
        self._count += 1
        if len(trail) > MAX_DEPTH or self._count > MAX_NODES:
            what = (
                f"there are more than {MAX_NODES:,} values"
                if self._count > MAX_NODES
                else f"nested deeper than {MAX_DEPTH} levels"
            )
            raise failure([Problem(file=key_path(trail[:3]), message=f"{what}; that is no recipe")], "")
        if isinstance(value, Mapping):
            return {key: self.of(inner, (*trail, key)) for key, inner in value.items() if self._is_key(key, trail)}
        if isinstance(value, list | tuple):
            return [self.of(inner, (*trail, index)) for index, inner in enumerate(value)]
        return self._scalar(value, trail)

    def _scalar(self, value: Any, trail: KeyPath) -> Any:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value is None or isinstance(value, bool) or (isinstance(value, str) and _is_text(value)):
            return value
        if isinstance(value, Integral) and int(value).bit_length() <= INT_BITS:  # also one of numpy's
            return int(value)
        if isinstance(value, Real) and not isinstance(value, Integral):
            return float(value)
        self._wrong(trail, f"a recipe holds plain values (texts, numbers, lists, dicts), not {short_repr(value)}")
        return None

    def _is_key(self, key: object, trail: KeyPath) -> bool:
        if (isinstance(key, str) and _is_text(key)) or (isinstance(key, int) and not isinstance(key, bool)):
            return True
        self._wrong(trail, f"a key must be a text, not {short_repr(key)}")
        return False

    def _wrong(self, trail: KeyPath, message: str) -> None:
        self._parsed.problems.append(Problem(file=key_path(trail), message=message))


def _is_text(text: str) -> bool:
    """Whether it can be written down: half of a surrogate pair cannot."""
    return text.encode(errors="ignore").decode() == text
