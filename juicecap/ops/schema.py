"""An op's parameters, read from its dataclass fields, and settings parsed against them by jsonargparse.

The signature is the schema: recipes, `juicecap ops NAME` and the docs pages know nothing but what stands there.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import docstring_parser
from jsonargparse import ArgumentError, ArgumentParser

from juicecap.ops.base import Deduplicator, Filter, Mapper, Op, Selector


@dataclass(frozen=True)
class Parameter:
    """One recipe parameter of an op."""

    name: str
    type: str
    default: Any
    help: str
    aliases: tuple[str, ...]
    inherited: bool
    """Whether every op has it (column names and special tokens)."""


@functools.cache
def parameters(kind: type) -> tuple[Parameter, ...]:
    """The parameters of an op class (or of `RunOptions`), own ones first, each group in the order of the fields."""
    shared = {each.name for each in dataclasses.fields(Op)}
    hints, helps = get_type_hints(kind), _field_docstrings(kind)
    found = [
        Parameter(
            name=each.name,
            type=type_name(hints[each.name]),
            default=each.default if each.default_factory is dataclasses.MISSING else each.default_factory(),
            help=helps.get(each.name, ""),
            aliases=tuple(each.metadata.get("aliases", ())),
            inherited=each.name in shared,
        )
        for each in dataclasses.fields(kind)
    ]
    return tuple(sorted(found, key=lambda parameter: parameter.inherited))


def type_name(hint: Any) -> str:
    """A type in the words of a recipe: `int > 0`, `bool or null`, `'a' | 'b'`."""
    if hint is type(None):
        return "null"
    if hasattr(hint, "_expression"):  # a restricted number of jsonargparse, such as PositiveInt: "v>0"
        bounds = re.sub(r"v(<=|>=|<|>)", r"\1 ", hint._expression)  # noqa: SLF001
        return f"{hint._type.__name__} {bounds}"  # noqa: SLF001
    if get_origin(hint) in (list, dict, tuple):
        return str(get_origin(hint).__name__)
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return " | ".join(map(str, arguments))
    if arguments:
        return " or ".join(type_name(each) for each in arguments)
    return str(getattr(hint, "__name__", hint))


def parse(kind: type, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Check known parameters against their types, each by itself, so that every problem is found at once.

    Returns the values, converted, and (parameter, sentence) pairs for those that do not fit. Aliases are resolved.
    """
    known = {name: each for each in parameters(kind) for name in (each.name, *each.aliases)}
    parsed: dict[str, Any] = {}
    problems = []
    for key, value in values.items():
        parameter = known[key]
        if parameter.name in parsed:
            problems.append((key, f"{key} is another name of {parameter.name!r}, which is set as well"))
            continue
        try:
            parsed[parameter.name] = _parser(kind).parse_object({parameter.name: value}, defaults=False)[parameter.name]
        except (ArgumentError, TypeError, ValueError):
            problems.append((key, f"{key} must be {parameter.type}, not {value!r}"))
    return parsed, problems


@functools.cache
def _parser(kind: type) -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, fail_untyped=True)
    return parser


def _field_docstrings(kind: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if dataclasses.is_dataclass(each):
            parsed = docstring_parser.parse_from_object(each)
            found.update({entry.arg_name: " ".join((entry.description or "").split()) for entry in parsed.params})
    return found


def default_text(value: Any) -> str:
    """A default as a recipe would write it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if value == float("inf"):
        return ".inf"
    if value == sys.maxsize:
        return "no limit"
    return str(value)


def family(kind: type[Op]) -> str:
    """The op's family in the plural: `mappers`, `filters`, `deduplicators` or `selectors`."""
    families = {Mapper: "mappers", Filter: "filters", Deduplicator: "deduplicators", Selector: "selectors"}
    return next((name for base, name in families.items() if issubclass(kind, base)), "other ops")
