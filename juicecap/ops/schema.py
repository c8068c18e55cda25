"""An op's parameters, read from its dataclass fields, and settings parsed against them by jsonargparse.

The signature is the schema: recipes, `juicecap ops NAME` and the docs pages all read it.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import docstring_parser
from jsonargparse import ArgumentError, ArgumentParser

from juicecap.ops.base import Filter, Mapper, Op
from juicecap.ops.options.groups import group_of, in_order
from juicecap.ops.options.types import as_number, expected, type_name
from juicecap.ops.whole_dataset import Deduplicator, Selector
from juicecap.sample import short_repr

LONGEST_WORD = 100
"""Characters of a text that may stand for a number or another value that is not text."""


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
    group: str
    """Where it is shown, of `options/groups.py`; empty: not in a group."""
    parts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Names that set one entry of the parameter, a dict, and that entry's name."""


@functools.cache
def parameters(kind: type) -> tuple[Parameter, ...]:
    """The parameters of an op class (or of `RunOptions`), own ones first, by groups, each in the order of the fields."""
    shared = {each.name for each in dataclasses.fields(Op)}
    hints, helps = get_type_hints(kind), _field_docstrings(kind)
    found = [
        Parameter(
            name=each.name,
            type=type_name(hints[each.name]),
            default=each.default if each.default_factory is dataclasses.MISSING else each.default_factory(),
            help=helps.get(each.name, ""),
            aliases=tuple(each.metadata.get("aliases", ())),
            parts=each.metadata.get("parts", {}),
            inherited=each.name in shared,
            group=group_of(kind, each.name),
        )
        for each in dataclasses.fields(kind)
    ]
    groups = in_order(each.group for each in found)
    return tuple(sorted(found, key=lambda parameter: (parameter.inherited, groups.index(parameter.group))))


def grouped(shown: Iterable[Parameter]) -> list[tuple[str, list[Parameter]]]:
    """Some of an op's parameters, in their order, with the group of each."""
    return [(group, list(rows)) for group, rows in itertools.groupby(shown, key=lambda parameter: parameter.group)]


@functools.cache
def names(kind: type) -> Mapping[str, Parameter]:
    """The parameters of an op class by all names that a recipe may use: their own, their aliases, and those of their parts."""
    return {name: each for each in parameters(kind) for name in (each.name, *each.aliases, *each.parts)}


def parse(kind: type, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Check known parameters against their types, each by itself, so that every problem is found at once.

    Returns the values, converted, and (parameter, sentence) pairs for those that do not fit. Aliases and parts are resolved.
    """
    known = names(kind)
    hints = get_type_hints(kind)
    parsed: dict[str, Any] = {}
    problems = []
    for key in sorted(values, key=lambda key: key in known[key].parts):  # a parameter before its parts
        parameter, value = known[key], values[key]
        if key in parameter.parts:
            entry, whole = parameter.parts[key], parsed.get(parameter.name) or {}
            if entry in whole:
                problems.append((key, f"{key} is another name of '{parameter.name}.{entry}', which is set as well"))
            parsed[parameter.name] = {**whole, entry: value}
            continue
        if parameter.name in parsed:
            problems.append((key, f"{key} is another name of {parameter.name!r}, which is set as well"))
            continue
        try:
            parsed[parameter.name] = _converted(hints[parameter.name], value)
        except (ArgumentError, TypeError, ValueError):
            problems.append((key, f"{key} must be {expected_of(kind, key, value)}, not {short_repr(value)}"))
    for name, whole in _with_whole_numbers(kind).items():
        if isinstance(entries := parsed.get(name), dict):
            parsed[name] = {entry: _whole(value) if entry in whole else value for entry, value in entries.items()}
    return parsed, problems


@functools.cache
def _with_whole_numbers(kind: type) -> Mapping[str, Collection[str]]:
    """The parameters that are dicts with whole numbers in them, and their names: metadata `whole` of the fields."""
    return {each.name: each.metadata["whole"] for each in dataclasses.fields(kind) if "whole" in each.metadata}


def _whole(value: Any) -> Any:
    """`2e5` is read as a number with a point; where a whole one is wanted it is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def expected_of(kind: type, name: str, value: Any) -> str:
    """What the parameter of this name should have been where it cannot be `value`."""
    return expected(value, get_type_hints(kind)[names(kind)[name].name])


@functools.cache
def takes_text(kind: type, name: str) -> bool:
    """Whether the parameter of this name, or of which this is an alias, takes a text as it stands."""
    found = names(kind)[name]
    hint = get_type_hints(kind)[found.name]
    return name not in found.parts and str in (get_args(hint) or (hint,))


def written_as(kind: type, written: Iterable[str], parameter: str, sentence: str) -> list[str]:
    """Those of the keys of a block that set a parameter, or parts of it; in front that of a part which the sentence names."""
    known = names(kind)
    keys = [key for key in written if key in known and known[key].name == parameter]
    return sorted(keys, key=lambda key: known[key].parts.get(key, "\0") not in sentence)


def _converted(hint: Any, value: Any) -> Any:
    """The value as a parameter of this type; jsonargparse knows what fits.

    A text stays as it is where a text fits: jsonargparse would read "null" as null. Null fits only where the type says so.
    """
    accepted = get_args(hint) or (hint,)
    if isinstance(value, str) and str in accepted:
        return value
    value = as_number(value)
    if isinstance(value, list) and list[str] in accepted:  # jsonargparse takes minutes for many
        if all(isinstance(each, str) for each in value):
            return value
        raise TypeError("not all of them are texts")
    if value is None and type(None) not in accepted:
        raise TypeError("null does not fit")
    if (isinstance(value, str) or "str" not in str(hint)) and _longest_text(value) > LONGEST_WORD:
        raise TypeError("jsonargparse would read the text as YAML, for as long as that takes")
    return _plain(_parser(hint).parse_object({"value": value}, defaults=False)["value"])


def _plain(value: Any) -> Any:
    """The value without jsonargparse's own types of numbers, which other processes do not know."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    kind = next((each for each in (int, float) if isinstance(value, each) and not isinstance(value, bool)), None)
    return kind(value) if kind else value


def _longest_text(value: Any) -> int:
    items = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    return len(value) if isinstance(value, str) else max(map(_longest_text, items), default=0)


@functools.cache
def _parser(hint: Any) -> ArgumentParser:
    """A parser of one value. Whole classes are not handed to jsonargparse: it would run their `TYPE_CHECKING` imports."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hint)
    return parser


def _field_docstrings(kind: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if dataclasses.is_dataclass(each):
            found.update(_own_docstrings(each))
    return found


@functools.cache
def _own_docstrings(kind: type) -> dict[str, str]:
    """The docstrings of the fields of one class, without its bases, which many ops share: reading them parses its source."""
    parsed = docstring_parser.parse_from_object(kind)
    return {entry.arg_name: " ".join((entry.description or "").split()) for entry in parsed.params}


def default_text(value: Any) -> str:
    """A default as a recipe would write it; `dataclasses.MISSING` stands for a parameter that must be set."""
    if value is dataclasses.MISSING:
        return "none, must be set"
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
