"""`${NAME}` and `${NAME:-default}` in a recipe's values, filled in from the environment.

A value that is one `${NAME}` and nothing else is read as YAML reads a word (`3`, `true`, nothing), and stays a text where the
parameter takes one; beside other characters it is text. `$${` stands for `${`. Variables in keys are not filled in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from juicecap.recipe.problems import suggestion
from juicecap.recipe.yaml.compose import Loader
from juicecap.recipe.yaml.values import MAX_BYTES, KeyPath, parse

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
    named: str = ""
    """As messages have it: the text, with `${NAME}` where a value came from the environment."""
    values: tuple[tuple[str, str], ...] = ()
    """The variables whose values came from the environment, each with its value."""

    @property
    def value(self) -> Any:
        """What the text means in a recipe."""
        if not self.alone:
            return self.text
        tag = Loader("").resolve(yaml.ScalarNode, self.text, (True, False))  # type: ignore[no-untyped-call]  # so in PyYAML's stubs
        return parse(self.text, "").values if str(tag).rpartition(":")[2] in _WORDS else self.text


def strings(values: Any, trail: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """The texts among the values that hold a variable or an escape, each with its trail."""
    if isinstance(values, str):
        if "${" in values:
            yield trail, values
    elif isinstance(values, dict | list):
        for step, value in values.items() if isinstance(values, dict) else enumerate(values):
            yield from strings(value, (*trail, step))


def fill(written: str, environment: Mapping[str, str] = os.environ, room: int = MAX_BYTES) -> Filled:
    """The text with its variables filled in, `room` characters at most.

    Raises:
        BadVariable: one of them is not set and has no default, or is not written as a variable; or the text becomes too long.
    """
    texts: list[str] = []
    named: list[str] = []
    origins: list[str] = []
    values: list[tuple[str, str]] = []
    length = end = 0
    for piece in _PIECE.finditer(written):
        text = name = "${"
        if piece[0] != "$${":
            variable, default = _variable(piece, written)
            value = _value(variable, default, environment)
            origins.append(f"{variable} from the environment" if value or default is None else f"default, {variable} is not set")
            text = name = value or default or ""
            if value:
                name = f"${{{variable}}}"
                values.append((variable, value))
        texts += [written[end : piece.start()], text]
        named += [written[end : piece.start()], name]
        end = piece.end()
        length += len(text)
        if length > room:
            raise BadVariable(f"once variables are filled in, the values have more than {MAX_BYTES:,} characters", "")
    whole = _PIECE.fullmatch(written)
    return Filled(
        written=written,
        text="".join([*texts, written[end:]]),
        alone=bool(whole and whole[1] is not None),
        origins=tuple(origins),
        named="".join([*named, written[end:]]),
        values=tuple(values),
    )


def literal(text: str) -> str:
    """The text as a recipe has it, so that nothing in it is filled in."""
    return text.replace("${", "$${")


def _variable(piece: re.Match[str], written: str) -> tuple[str, str | None]:
    """The name of a variable, and its default if it has one."""
    variable = _VARIABLE.fullmatch(piece[1] or "")
    if not variable:
        shown = piece[0] if piece[1] is not None else written[piece.start() : piece.start() + 20]
        hint = "write ${NAME} or ${NAME:-default}, where NAME has letters, digits and _; or $${ for the characters ${ themselves"
        raise BadVariable(f"{shown!r} is no variable", hint)
    return variable[1], variable[2]


def _value(name: str, default: str | None, environment: Mapping[str, str]) -> str:
    """What stands in the environment; empty if nothing does and there is a default."""
    value = environment.get(name, "")
    if default is None and name not in environment:
        near = suggestion(name, environment)
        hint = f"{near}  (or give a default: ${{{name}:-…}})" if near else f"set it, or give a default: ${{{name}:-…}}"
        raise BadVariable(f"the environment variable {name!r} is not set", hint)
    if value != value.encode(errors="ignore").decode():  # bytes that are no text
        raise BadVariable(f"the environment variable {name!r} is not UTF-8", "set it to a text")
    return value
