"""`juicecap ops [NAME]`: the table of ops, or one op: its parameters, its columns and a snippet to paste."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import shutil
import sys
import textwrap
from typing import Any

from juicecap.cli import operators
from juicecap.cli.printing import show, show_json
from juicecap.errors import JuicecapError
from juicecap.ops import catalog
from juicecap.ops.base import Op
from juicecap.ops.schema import Parameter, default_text, family, parameters
from juicecap.recipe.authoring.schema import op_schema
from juicecap.recipe.authoring.snippet import example, snippet

NARROWEST, WIDEST = 20, 100
"""Columns of text, whatever the terminal has."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", nargs="?", help="the name of an op; without it, all ops are listed")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    operators.add_arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Print the table or the op."""
    operators.load(options)
    if options.json:
        told = _facts(catalog.find(options.name)) if options.name else _table()
        show_json(told, indent=2, ensure_ascii=False, default=str)
    else:
        show(_one(catalog.find(options.name)) if options.name else _all())
    return 0


def _table() -> list[dict[str, Any]]:
    """Each op's name, family and summary; a broken installed package does not hide the other ops."""
    told = []
    for name in catalog.names():
        try:
            op = catalog.find(name)
        except JuicecapError as error:
            told.append({"name": name, "family": "cannot be imported", "summary": str(error)})
        else:
            told.append({"name": name, "family": family(op), "summary": _summary(op)})
    return told


def _all() -> str:
    told = _table()
    width = max(len(each["name"]) for each in told)
    families = sorted({each["family"] for each in told})
    blocks = [[_row(each, width) for each in told if each["family"] == kind] for kind in families]
    return "\n\n".join(f"{kind}\n" + "\n".join(lines) for kind, lines in zip(families, blocks, strict=True))


def _row(told: dict[str, Any], width: int) -> str:
    """A line of the table; in a narrow terminal the summary has lines of its own."""
    columns = shutil.get_terminal_size().columns
    if width + 2 * len("  ") + NARROWEST > columns:
        return f"  {told['name']}\n" + _wrapped(told["summary"], 6)
    return f"  {told['name'].ljust(width)}  {told['summary']}"


def _one(op: type[Op]) -> str:
    own = [each for each in parameters(op) if not each.inherited]
    shared = [each for each in parameters(op) if each.inherited]
    lines = [f"{op.name}  ({family(op)})", "", _wrapped(inspect.cleandoc(op.__doc__ or ""), 0), "", "parameters"]
    lines += [_parameter(each) for each in own] or ["  none of its own"]
    lines += ["", "columns and tokens (every op has these; a recipe sets them once for all ops)"]
    lines += [f"  {each.name}: {default_text(each.default)}" for each in shared]
    made = example(op)
    if made:
        lines += ["", "columns as the snippet below has them"]
        lines += [f"  reads   {name}{_named_by(made, name)}" for name in _read(made)] or ["  reads   none"]
        lines += [f"  writes  {name}: {_type_of_column(kind)}" for name, kind in made.columns_written().items()] or [
            "  writes  none"
        ]
    lines += ["", "in a recipe", *(f"  {line}" for line in snippet(op).splitlines())]
    return "\n".join(lines)


def _parameter(parameter: Parameter) -> str:
    head = f"  {parameter.name}: {parameter.type}, default {default_text(parameter.default)}"
    others = ", ".join([*parameter.aliases, *(f"{part} ({entry})" for part, entry in parameter.parts.items())])
    return "\n".join([head, _wrapped(parameter.help, 6), *([_wrapped(f"Other names: {others}.", 6)] if others else [])])


def _facts(op: type[Op]) -> dict[str, Any]:
    """The facts about an op, for programs."""
    made, schema = example(op), op_schema(op)
    return {
        "name": op.name,
        "family": family(op),
        "summary": _summary(op),
        "description": inspect.cleandoc(op.__doc__ or ""),
        "parameters": [_parameter_facts(each) for each in parameters(op)],
        "reads": list(_read(made)) if made else None,
        "writes": dict(made.columns_written()) if made else None,
        "snippet": snippet(op),
        "schema": schema,
    }


def _parameter_facts(parameter: Parameter) -> dict[str, Any]:
    required = parameter.default is dataclasses.MISSING
    return {
        "name": parameter.name,
        "type": parameter.type,
        "required": required,
        "default": None if required else _plain(parameter.default),
        "help": parameter.help,
        "aliases": list(parameter.aliases),
        "parts": dict(parameter.parts),
        "shared": parameter.inherited,
    }


def _plain(value: Any) -> Any:
    """A default as a JSON value; an infinite one is null."""
    return None if value in (float("inf"), sys.maxsize) else value


def _read(op: Op) -> dict[str, None]:
    """The columns that the op reads: those that must be there, and those of its media."""
    return dict.fromkeys([*(column for _, column in op.columns_required()), *op.media_columns()])


def _named_by(op: Op, column: str) -> str:
    parameter = next((name for name, each in op.columns_required() if each == column), None)
    return f" ({parameter})" if parameter else ""


def _type_of_column(kind: Any) -> str:
    if isinstance(kind, dict):
        return f"{{{', '.join(kind)}}}"
    return f"list of {_type_of_column(kind[0])}" if isinstance(kind, list) else str(kind)


def _wrapped(text: str, indent: int) -> str:
    width = max(NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    margin = " " * min(indent, width // 4)
    filled = [textwrap.fill(each, width, initial_indent=margin, subsequent_indent=margin) for each in paragraphs]
    return "\n\n".join(filled)


def _summary(op: type[Op]) -> str:
    return inspect.cleandoc(op.__doc__ or "").partition("\n")[0].rstrip(".")
