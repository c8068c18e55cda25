"""`${NAME}` and `${NAME:-default}` in a recipe's values, filled in from the environment.

A value that is one `${NAME}` and nothing else is read as YAML reads a word (`3`, `true`, nothing), and stays a text where the
parameter takes one; beside other characters it is text. `$${` stands for `${`. Keys are not looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from juicecap.recipe.nodes import Loader
from juicecap.recipe.problems import suggestion
from juicecap.recipe.text import Trail, parse

_PIECE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_WORDS = ("bool", "float", "int", "null")


class BadVariable(Exception):
    """A `${…}` that cannot be filled in. `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True)
class Filled:
    """A value that was filled in."""

    written: str
    """As the recipe has it."""
    text: str
    """With the variables' values in place of their names."""
    alone: bool
    """Whether it is one variable and nothing else."""
    origins: tuple[str, ...]
    """Where each variable's value came from, a few words each; never the value."""

    @property
    def value(self) -> Any:
        """What the text means in a recipe."""
        if not self.alone:
            return self.text
        tag = Loader("").resolve(yaml.ScalarNode, self.text, (True, False))  # type: ignore[no-untyped-call]  # so in PyYAML's stubs
        return parse(self.text, "").values if str(tag).rpartition(":")[2] in _WORDS else self.text


def strings(values: Any, trail: Trail = ()) -> Iterator[tuple[Trail, str]]:
    """The texts among the values that hold a variable or an escape, each with its trail."""
    if isinstance(values, str):
        if "${" in values:
            yield trail, values
    elif isinstance(values, dict | list):
        for step, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from strings(value, (*trail, step))


def fill(written: str, environment: Mapping[str, str] = os.environ) -> Filled:
    """The text with its variables filled in.

    Raises:
        BadVariable: one of them is not set and has no default, or is not written as a variable.
    """
    origins: list[str] = []

    def replaced(piece: re.Match[str]) -> str:
        if piece[0] == "$${":
            return "${"
        variable = _VARIABLE.fullmatch(piece[1] or "")
        if not variable:
            shown = piece[0] if piece[1] is not None else written[piece.start() : piece.start() + 20]
            hint = (
                "write ${NAME} or ${NAME:-default}, where NAME has letters, digits and _; or $${ for the characters ${ themselves"
            )
            raise BadVariable(f"{shown!r} is no variable", hint)
        name, default = variable[1], variable[2]
        value = environment.get(name, "")
        if default is None and name not in environment:
            near = suggestion(name, environment)
            hint = f"{near}  (or give a default: ${{{name}:-…}})" if near else f"set it, or give a default: ${{{name}:-…}}"
            raise BadVariable(f"the environment variable {name!r} is not set", hint)
        if value != value.encode(errors="ignore").decode():  # bytes that are no text
            raise BadVariable(f"the environment variable {name!r} is not UTF-8", "set it to a text")
        origins.append(f"{name} from the environment" if value or default is None else f"default, {name} is not set")
        return value or default or ""

    text = _PIECE.sub(replaced, written)
    whole = _PIECE.fullmatch(written)
    return Filled(written=written, text=text, alone=bool(whole and whole[1] is not None), origins=tuple(origins))
