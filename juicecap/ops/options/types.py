"""Types of an op's fields: what they are called in a recipe, and whether a value is of them.

Recipes are parsed by `schema`, which also converts; ops that are made in Python are checked by `fits`, so that a setting that
cannot work is reported when the op is made and not in the middle of a dataset.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from juicecap.sample import short_repr

NOT_EMPTY: Mapping[str, Any] = {"not_empty": True}
"""Metadata of a field that takes a path, a column or a restriction, where an empty text (from an empty variable) is invalid."""


def type_name(hint: Any) -> str:
    """A type as a recipe's author reads it: `int > 0`, `bool or null`, `rewrite | keep_origin`."""
    if hint is type(None):
        return "null"
    if _is_restricted(hint):
        return f"{_base(hint).__name__} {' and '.join(f'{sign} {bound}' for sign, bound in _bounds(hint).items())}"
    if get_origin(hint) in (list, dict, tuple):
        return str(get_origin(hint).__name__)
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return " | ".join(map(str, arguments))
    if arguments:
        return " or ".join(type_name(each) for each in arguments)
    return str(getattr(hint, "__name__", hint))


def expected(value: object, hint: Any) -> str:
    """What a value that is not of a type should have been: the type, or its upper bound alone where that is all that is wrong."""
    kinds = [hint, *(get_args(hint) if get_origin(hint) is not Literal else ())]
    bounds = [most for each in kinds if _is_restricted(each) and (most := _bounds(each).get("<=")) is not None]
    number = _number(value)
    if number is not None and bounds and number > max(bounds):
        return f"at most {max(bounds)}"
    return re.sub(r" and <= \d+", "", type_name(hint))


def json_type(hint: Any) -> dict[str, Any]:
    """A type as JSON Schema; empty if any value is valid."""
    if _is_restricted(hint):
        words = {">": "exclusiveMinimum", ">=": "minimum", "<": "exclusiveMaximum", "<=": "maximum"}
        return {**json_type(_base(hint)), **{words[sign]: bound for sign, bound in _bounds(hint).items()}}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (list, tuple):
        items = json_type(arguments[0]) if arguments else {}
        return {"type": "array", **({"items": items} if items else {})}
    if origin is not dict and arguments:
        return json_union([json_type(each) for each in arguments])
    name = _JSON_NAMES.get(origin or hint)
    return {"type": name} if name else {}


_JSON_NAMES = {bool: "boolean", dict: "object", float: "number", int: "integer", list: "array", str: "string", type(None): "null"}


def json_union(options: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A union of types as JSON Schema.

    As one schema if that is equivalent (each keyword applies to one type of value), since editors show more about one schema than
    about several.
    """
    options = [each for option in options for each in (option["anyOf"] if set(option) == {"anyOf"} else [option])]
    if len(options) == 1 or {} in options:
        return {**options[0]} if {} not in options else {}
    words = [word for each in options for word in each if word != "type"]
    if len(set(words)) < len(words) or not all("type" in each for each in options):
        return {"anyOf": [*options]}
    names = [name for each in options for name in ([each["type"]] if isinstance(each["type"], str) else each["type"])]
    return {"type": list(dict.fromkeys(names)), **{word: each[word] for each in options for word in each if word != "type"}}


def fits(value: object, hint: Any) -> bool:
    """Whether a value is of a type; items of lists and dicts are not checked, and unknown kinds of types accept anything."""
    if hint is None or hint is type(None):
        return value is None
    if _is_restricted(hint):
        return _is_plain(value, _base(hint)) and _is_in_range(value, hint)
    origin = get_origin(hint)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in get_args(hint))
    if origin in (list, dict, tuple):
        return isinstance(value, origin)
    if get_args(hint):
        return any(fits(value, each) for each in get_args(hint))
    return _is_plain(value, hint) if hint in (bool, int, float, str) else True


def _is_restricted(hint: Any) -> bool:
    """Whether it is one of jsonargparse's numbers in a range, such as `PositiveInt`."""
    return hasattr(hint, "_expression")


def _base(hint: Any) -> type:
    return int if issubclass(hint, int) else float


def _bounds(hint: Any) -> dict[str, int | float]:
    """Sign to number; jsonargparse keeps them as text: "v>0 and v<=9"."""
    found = re.findall(r"v(<=|>=|<|>)(-?[\d.]+(?:e[+-]?\d+)?)", hint._expression)  # noqa: SLF001
    return {sign: float(number) if "." in number else int(number) for sign, number in found}


def _number(value: object) -> float | None:
    """The number that a value is, or that a recipe's text stands for."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if isinstance(value, int) and value > 0 else -math.inf
    except ValueError:
        return None


_SCIENTIFIC = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d{1,3}", re.ASCII)
"""A number that YAML takes for a text: it wants a point and a sign, `2.0e+5`."""


def as_number(value: Any) -> Any:
    """The number that a text such as `2e5` was meant to be; whatever else it is, as it is."""
    if not isinstance(value, str) or not _SCIENTIFIC.fullmatch(value):
        return value
    number = float(value)
    return value if math.isinf(number) else int(number) if number.is_integer() else number


def _is_in_range(value: object, hint: Any) -> bool:
    try:
        hint(value)
    except (OverflowError, ValueError):
        return False
    return True


def _is_plain(value: object, kind: type) -> bool:
    """As `isinstance`, but a bool is no number, and an int is a float as well."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, int | float if kind is float else kind)


def type_problems(settings: Any) -> list[tuple[str, str]]:
    """(field, sentence) for each value of a dataclass that is not of its field's type.

    A recipe's values were converted before; Python's come as they are.
    """
    hints = _hints(type(settings))
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    found = [
        (name, f"{name} must be {expected(value, hints[name])}, not {short_repr(value)}")
        for name, value in values.items()
        if not fits(value, hints[name])
    ]
    return found or empty_problems(type(settings), values)


@functools.cache
def not_empty(kind: type) -> frozenset[str]:
    """The fields of a dataclass that have the metadata `NOT_EMPTY`."""
    return frozenset(each.name for each in fields(kind) if each.metadata.get("not_empty"))


def empty_problems(kind: type, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, sentence) for each value of a dataclass that is an empty text, or holds one, where `NOT_EMPTY` forbids it."""
    hints = _hints(kind)
    found = []
    for name in [name for name in values if name in not_empty(kind)]:
        texts = [values[name]] if isinstance(values[name], str) else values[name] or ()
        if any(isinstance(text, str) and not text.strip() for text in texts):
            nothing = "; null means that it is not set" if fits(None, hints[name]) else ""
            found.append((name, f"{name} must not be empty{nothing}"))
    return found


_hints: Callable[[type], dict[str, Any]] = functools.cache(get_type_hints)
"""The types of a class's fields: many ops of a recipe may be of one class."""
