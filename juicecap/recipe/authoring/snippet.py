"""A piece of a recipe that uses an op, to be pasted under `process`."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import yaml

from juicecap.errors import SettingsError
from juicecap.ops.base import Op
from juicecap.ops.options.run_options import is_run_only
from juicecap.ops.schema import Parameter, parameters

_MOST = 6
"""Parameters that a snippet shows besides those that must be set."""

_MODEL = "hf_model"


def snippet(kind: type[Op]) -> str:
    """YAML of the op with what must be set, its model, and some of the defaults that are its own."""
    values = settings(kind)
    body: dict[str, Any] | None = values or None
    text: str = yaml.safe_dump([{kind.name: body}], sort_keys=False, allow_unicode=True, width=float("inf"))
    lines = ["process:", *(f"  {line}" for line in text.replace(": null\n", ":\n").splitlines())]
    return "\n".join(lines)


def settings(kind: type[Op]) -> dict[str, Any]:
    """The parameters that the snippet shows."""
    run_only = {each.name for each in dataclasses.fields(kind) if is_run_only(each)}
    own = vars(kind).get("__annotations__", {})
    shown = dict(example_of(kind))
    for each in parameters(kind):
        usual = each.name == _MODEL or (each.name in own and each.name not in run_only)
        if usual and each.name not in shown and _says_something(each.default) and len(shown) < _MOST:
            shown[each.name] = each.default
    return {each.name: shown[each.name] for each in parameters(kind) if each.name in shown}


def example_of(kind: type[Op]) -> dict[str, Any]:
    """A value for each parameter that must be set: the field's metadata `example`, else one of its type."""
    metadata = {each.name: each.metadata for each in dataclasses.fields(kind)}
    needed = [each for each in parameters(kind) if each.default is dataclasses.MISSING]
    return {each.name: metadata[each.name].get("example", _of_type(each)) for each in needed}


def example(kind: type[Op]) -> Op | None:
    """The op with the settings of the snippet; None if it cannot be made."""
    try:
        return kind(**settings(kind))
    except SettingsError:
        return None


def _of_type(parameter: Parameter) -> Any:
    word = parameter.type.partition(" ")[0]
    made = {"int": 1, "float": 1.0, "bool": False, "list": [], "dict": {}}
    return made.get(word, parameter.name if word == "str" else word)


def _says_something(value: Any) -> bool:
    return value is not dataclasses.MISSING and value not in (None, "", [], {}, float("inf"), sys.maxsize)
