"""The JSON Schema of recipes (2020-12), for editors and for programs that write recipes.

Made from the fields that `check` reads as well, the ops of installed packages and of registered files included. It knows keys,
parameters, types, ranges and choices; what takes more than one value to see (columns, contradictions, files) is told by
`juicecap check` alone. A value may be a `${NAME}` wherever a number or a choice may stand. Editors list parameters by the
alphabet, so what is said of one begins with its group. `patternErrorMessage` and `defaultSnippets` are words of the YAML language
server that others pass over.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Mapping
from typing import Any, get_type_hints

from juicecap.errors import JuicecapError
from juicecap.ops import catalog
from juicecap.ops.base import Op
from juicecap.ops.docstrings import written
from juicecap.ops.options.run_options import RunOptions
from juicecap.ops.options.types import json_type, json_union, not_empty
from juicecap.ops.schema import Parameter, parameters
from juicecap.recipe import compat, dataset_key, export_key
from juicecap.recipe.authoring.snippet import settings
from juicecap.recipe.compat import data_juicer_defaults
from juicecap.recipe.keys import IGNORED, RecipeKeys

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_VARIABLE = {"type": "string", "pattern": r"\$\{"}
_INCLUDE = {"type": ["string", "array"], "items": {"type": "string"}}


def recipe_schema() -> dict[str, Any]:
    """The schema of a whole recipe, with each op that can be found."""
    blocks = {}
    for name in catalog.names():
        try:
            blocks[name] = op_schema(catalog.find(name))
        except JuicecapError as error:  # an installed package that is broken hides no other op
            blocks[name] = {"description": str(error)}
    keys = _fields(RecipeKeys)
    for name, reason in IGNORED.items():
        keys[name] |= _without_effect(reason)
    keys["process"] |= {"items": _step(blocks)}
    keys["max_rejected"] |= {"minimum": 0}
    keys[dataset_key.KEY] |= dataset_key.schema(_VARIABLE)
    keys[export_key.KEY] = {"description": keys[export_key.KEY]["description"], **export_key.schema(_VARIABLE)}
    return {
        "$schema": DIALECT,
        "title": "juicecap recipe",
        "description": "What is read, which ops are applied in which order, and where the result goes.",
        "type": "object",
        "properties": keys,
        "patternProperties": {"^x-": {"description": "Anchors for use elsewhere in the recipe."}, **_of_data_juicer()},
        "additionalProperties": False,
        "anyOf": [{"required": ["process"]}, {"required": ["include"]}],
        "$defs": blocks,
    }


def _of_data_juicer() -> dict[str, Any]:
    """Data-Juicer's other keys at values that ask for nothing. As patterns, since editors offer those to nobody."""
    found: dict[str, Any] = {}
    for key, answer in compat.DATA_JUICER.items():
        told = _without_effect(answer)
        if key in data_juicer_defaults.NESTED:
            found |= {rf"^{key}$": {**told, "type": ["object", "null"]}, rf"^{key}\.": told}
        else:
            harmless = {"enum": [None, *data_juicer_defaults.HARMLESS.get(key, ())]}
            found[f"^{key}$"] = {**told, **({} if key in compat.EFFECTLESS else harmless)}
    return found


def op_schema(kind: type[Op]) -> dict[str, Any]:
    """The schema of an op's block."""
    ignored = {name: _without_effect(reason) for name, reason in kind.ignored_parameters.items()}
    include = {"description": "YAML files whose keys hold here as well, unless this block sets them.", **_INCLUDE}
    needed = [each for each in parameters(kind) if each.default is dataclasses.MISSING]
    schema = {
        "description": written(kind),
        "type": ["object", "null"],
        "properties": {**_fields(kind), **_fields(RunOptions), **ignored, "include": include},
        "additionalProperties": False,
    }
    if needed:
        schema["anyOf"] = [{"required": [each.name for each in needed]}, {"required": ["include"]}]
    return schema


def _fields(kind: type) -> dict[str, Any]:
    """Each name that a recipe may use for a parameter, and what may stand there."""
    hints = get_type_hints(kind)
    metadata = {each.name: each.metadata for each in dataclasses.fields(kind)}
    found: dict[str, Any] = {}
    for each in parameters(kind):
        entries = metadata[each.name].get("entries")
        written = _value(json_type(hints[each.name]), entries, is_key=kind is RecipeKeys or each.inherited)
        if each.name in not_empty(kind):
            written = _not_empty(written)
        if "pattern" in written:
            written["patternErrorMessage"] = f"{each.name} must be {each.type}"
        group = f"[{each.group}] " if each.group else ""
        found[each.name] = {"description": group + each.help, **_default(each), **written}
        for alias in each.aliases:
            found[alias] = {"description": f"Another name of {each.name}: {each.help}", **written}
        for part, entry in each.parts.items():
            inner = _value((entries or {}).get(entry, {}), None, is_key=False)
            found[part] = {"description": f"Another name of {each.name}.{entry}.", **inner}
    return found


def _value(written: dict[str, Any], entries: Mapping[str, Any] | None, *, is_key: bool) -> dict[str, Any]:
    """What may stand for a value of this type: also a variable, and null for a key, which then has its default."""
    names = _type_names(written)
    if entries is not None and "object" in names:
        written = {**written, "properties": {name: _value(kind, None, is_key=True) for name, kind in entries.items()}}
    options = [written]
    if is_key and "null" not in names:
        options.append({"type": "null"})
    if "string" not in names:
        options.append(_VARIABLE)
    return json_union(options)


def _not_empty(written: dict[str, Any]) -> dict[str, Any]:
    """The same without the empty text, itself or in a list."""
    items = {"items": {**written["items"], "minLength": 1}} if "items" in written else {}
    return {**written, "minLength": 1, **items}


def _type_names(written: Mapping[str, Any]) -> set[str]:
    names = written.get("type", [])
    return {names} if isinstance(names, str) else set(names).union(*map(_type_names, written.get("anyOf", ())))


def _default(parameter: Parameter) -> dict[str, Any]:
    """The default, where JSON has a word for it that says something."""
    value = parameter.default
    if value is dataclasses.MISSING or value in (float("inf"), sys.maxsize):
        return {}
    return {"default": copy.deepcopy(value)}


def _step(blocks: Mapping[str, Any]) -> dict[str, Any]:
    """An item of `process`: an op with its parameters, or its name alone.

    In one schema, and with snippets: of an `anyOf` editors offer nothing that fits.
    """
    alone = [name for name, block in blocks.items() if "anyOf" not in block]
    return {
        "type": ["object", "string"],
        "properties": {name: {"description": block["description"], "$ref": f"#/$defs/{name}"} for name, block in blocks.items()},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "pattern": rf"^({'|'.join(alone)})$|{_VARIABLE['pattern']}",
        "patternErrorMessage": "no op has this name, or it needs parameters (juicecap ops lists all)",
        "defaultSnippets": [_offer(name, block["description"]) for name, block in blocks.items()],
    }


def _offer(name: str, description: str) -> dict[str, Any]:
    """What an editor puts in for an op."""
    try:
        body = settings(catalog.find(name))
    except JuicecapError:
        body = {}
    return {"label": name, "description": description, "body": {name: body or None}}


def _without_effect(reason: str) -> dict[str, Any]:
    return {"description": f"No effect: {reason.rstrip('.')}.", "deprecated": True}
