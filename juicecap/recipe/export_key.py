"""The key `exports` of a recipe: a list of exports, each `{to: …, as: WRITER, options}` or `{to: …, for: TRAINER, options}`.

The options of a writer are the fields of its class in `data/export/settings.py`, and are checked like an op's parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from juicecap.data import export as formats
from juicecap.data.export.columns import column_of
from juicecap.data.export.presets import PRESETS
from juicecap.data.export.settings import KINDS, Export, SidecarExport, TableExport
from juicecap.data.source import mixture
from juicecap.errors import DataError
from juicecap.naming import unnameable
from juicecap.ops import schema as op_schema
from juicecap.ops.options.types import empty_problems, json_type, json_union
from juicecap.recipe.problems import Problem, suggestion
from juicecap.recipe.yaml.source import Source
from juicecap.recipe.yaml.values import KeyPath
from juicecap.sample import display_path, short_repr

KEY = "exports"

_OURS = ("preset",)
"""Fields of an export that no entry may set."""


class Fault(NamedTuple):
    """What is wrong with an entry."""

    key: tuple[str, ...]
    """The option; none if it is the entry itself."""
    message: str
    hint: str = ""
    at_key: bool = False


def exports_of(source: Source, dataset_path: str, problems: list[Problem]) -> tuple[Export, ...]:
    """The exports of a recipe; what is wrong goes to `problems`."""
    value = source.values.get(KEY)
    if value is None:
        return ()
    if not isinstance(value, list):
        problems.append(source.problem((KEY,), f"exports must be a list of {{to: …, as: …}}, not {short_repr(value)}"))
        return ()
    found = []
    for index, entry in enumerate(value):
        export, faults = export_of(entry, dataset_path)
        for fault in faults:
            trail: KeyPath = (KEY, index, *fault.key)
            message = f"exports: {fault.message}"
            problems.append(source.problem(trail, message, at="key" if fault.at_key else "value", hint=fault.hint))
        if export:
            found.append(export)
    return tuple(found)


def export_of(entry: Any, dataset_path: str = "") -> tuple[Export | None, list[Fault]]:
    """An export as it is written, or None and what is wrong with it.

    Texts that go beside their media have the folder of the dataset as their place, unless the entry names one.
    """
    if not isinstance(entry, Mapping):
        return None, [Fault((), f"an entry must be {{to: …, as: …}}, not {short_repr(entry)}")]
    if fault := _choice(entry):
        return None, [fault]
    name = str(entry.get("for") or "")
    preset = PRESETS.get(name)
    kind = KINDS[preset.kind if preset else str(entry["as"])]
    own = {str(key): value for key, value in entry.items() if key not in ("as", "for") and value is not None}
    known = [each.name for each in fields(kind) if each.name not in _OURS]
    faults = [
        Fault((key,), f"{_called(entry)} has no option {key!r}", suggestion(key, known), at_key=True)
        for key in own
        if key not in known
    ]
    values, misfits = op_schema.parse(kind, {key: value for key, value in own.items() if key in known})
    faults += [Fault((key,), sentence) for key, sentence in [*misfits, *empty_problems(kind, values)]]
    if preset:
        to = {"to": str(Path(values["to"]) / preset.file)} if values.get("to") else {}
        values = {**preset.options, **values, **to, "preset": name}
    if kind is SidecarExport and values.get("media") == "none" and not values.get("to"):
        values["to"] = _beside(dataset_path)
    if faults:
        return None, faults
    made = kind(**values)
    faults = [Fault((option,) if option in own else (), sentence) for option, sentence in made.problems()]
    faults += [*_paths(made, own), *_columns(made, own)]
    return (None, faults) if faults else (made, [])


def schema(variable: Mapping[str, Any]) -> dict[str, Any]:
    """What may stand there, as JSON Schema; a `variable` may stand for a number or a choice."""
    kinds: list[type] = [*KINDS.values()]
    options = {each.name: json_type(hint) for kind in kinds for each, hint in _options(kind)}
    helps = {each.name: each.help for kind in kinds for each in op_schema.parameters(kind)}
    entry = {
        "type": "object",
        "properties": {
            "as": {"description": "The writer.", "enum": [*KINDS]},
            "for": {"description": "The trainer (juicecap export --list).", "enum": [*PRESETS]},
            **{name: {"description": helps[name], **_written(name, variable)} for name in options},
        },
        "additionalProperties": False,
    }
    return {"type": ["array", "null"], "items": entry}


def _written(name: str, variable: Mapping[str, Any]) -> dict[str, Any]:
    """What an option may be, whichever writer it is for; a variable too, where not any text may stand."""
    found: list[dict[str, Any]] = []
    for kind in KINDS.values():
        found += [json_type(hint) for each, hint in _options(kind) if each.name == name and json_type(hint) not in found]
    takes_text = any("string" in str(each.get("type", "")) for each in found)
    return json_union([*found, {"type": "null"}, *([] if takes_text else [dict(variable)])])


def _options(kind: type) -> Iterator[tuple[Any, Any]]:
    hints = get_type_hints(kind)
    return ((each, hints[each.name]) for each in fields(kind) if each.name not in _OURS)


def _choice(entry: Mapping[Any, Any]) -> Fault | None:
    """What is wrong with the choice of a writer or a trainer."""
    writer, trainer = entry.get("as"), entry.get("for")
    if writer is not None and trainer is not None:
        return Fault(("for",), "as and for exclude each other: for chooses the writer too", at_key=True)
    if trainer is not None:
        known, key, what = PRESETS, "for", "juicecap export --list shows them"
    elif writer is not None:
        known, key, what = KINDS, "as", ""  # type: ignore[assignment]
    else:
        return Fault((), f"an entry needs as ({', '.join(KINDS)}) or for (a trainer: juicecap export --list)")
    value = entry[key]
    if isinstance(value, str) and value in known:
        return None
    return Fault((key,), f"{key} must be one of {', '.join(known)}, not {short_repr(value)}", suggestion(value, known, what))


def _called(entry: Mapping[Any, Any]) -> str:
    return f"for: {entry['for']}" if entry.get("for") else f"as: {entry['as']}"


def _paths(export: Export, own: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with the path of an export."""
    key = ("to",) if "to" in own else ()
    if why := unnameable(str(export.target)):
        yield Fault(key, f"to: {display_path(str(export.target))} {why}")
    elif "://" in str(own.get("to")):
        yield Fault(key, f"to: juicecap exports to local paths only, not to {own['to']}")
    elif export.kind in ("table", "conversations") and getattr(export, "format", None) is None:
        try:
            formats.format_of(export.target)
        except DataError as error:
            yield Fault(key, f"to: {error}")


def _columns(export: Export, own: Mapping[str, Any]) -> Iterator[Fault]:
    """What is wrong with the columns of a table."""
    if not isinstance(export, TableExport):
        return
    for name, written in (export.columns or {}).items():
        try:
            column_of(written)
        except ValueError as error:
            yield Fault(("columns", name) if "columns" in own else (), f"columns.{name} {error}")
        if export.format == "lines" and ("/" in str(name) or str(name).startswith(".")):
            yield Fault(
                ("columns", name), f"columns.{name} names a file ({name}.txt), so it cannot have a slash or begin with a dot"
            )


def _beside(dataset_path: str) -> str:
    """The folder of a dataset."""
    first = next(iter(mixture.paths_of(dataset_path)), "") if dataset_path else ""
    path = Path(first or ".")
    return str(path if path.is_dir() else path.parent)
