"""`juicecap ops [NAME]`: the table of ops, or one op: its parameters, its columns and a snippet to paste."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import textwrap
from typing import Any

from juicecap.cli import operators
from juicecap.cli.printing import show, show_json
from juicecap.errors import JuicecapError
from juicecap.ops import catalog
from juicecap.ops.base import Op
from juicecap.ops.docstrings import written
from juicecap.ops.options.groups import heading
from juicecap.ops.options.run_options import RunOptions
from juicecap.ops.schema import Parameter, default_text, family, grouped, parameters
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
    lines = [f"{op.name}  ({family(op)})", "", _wrapped(written(op), 0)]
    lines += [] if own else ["", "no parameters of its own"]
    for group, rows in grouped(own):
        lines += ["", _wrapped(heading(group), 0), *map(_parameter, rows)]
    for group, rows in grouped(shared):
        lines += ["", _wrapped(heading(group), 0), *(f"  {each.name}: {default_text(each.default)}" for each in rows)]
    lines += ["", _wrapped(f"Every op also takes {_run_options(op)}.", 0)]
    made = example(op)
    lines += ["", "columns as the snippet below has them", *_columns(made)] if made else []
    lines += ["", "in a recipe", *(f"  {line}" for line in snippet(op).splitlines())]
    return "\n".join(lines)


def _parameter(parameter: Parameter) -> str:
    head = _hung(f"  {parameter.name}: {parameter.type}, default {default_text(parameter.default)}", 10)
    others = ", ".join([*parameter.aliases, *(f"{part} ({entry})" for part, entry in parameter.parts.items())])
    return "\n".join([head, _wrapped(parameter.help, 6), *([_wrapped(f"Other names: {others}.", 6)] if others else [])])


def _run_options(op: type[Op]) -> str:
    batch_size, *others = (each.name for each in parameters(RunOptions))
    return ", ".join([f"{batch_size} (default {op.default_batch_size})", *others])


def _columns(made: Op) -> list[str]:
    read = [f"  reads   {name}{_named_by(made, name)}" for name in _read(made)]
    written = [f"  writes  {name}: {_type_of_column(kind)}" for name, kind in made.columns_written().items()]
    return [_hung(line, 10) for line in [*(read or ["  reads   none"]), *(written or ["  writes  none"])]]


def _facts(op: type[Op]) -> dict[str, Any]:
    """The facts about an op, for programs."""
    made, schema = example(op), op_schema(op)
    return {
        "name": op.name,
        "family": family(op),
        "summary": _summary(op),
        "description": written(op),
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
        "group": parameter.group,
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


def _width() -> int:
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))


def _wrapped(text: str, indent: int) -> str:
    margin = " " * min(indent, _width() // 4)
    return "\n\n".join(_hung(margin + " ".join(paragraph.split()), indent) for paragraph in text.split("\n\n"))


def _hung(line: str, indent: int) -> str:
    """The line, and what of it does not fit indented below. Names stay whole, to be copied."""
    width = _width()
    if len(line) <= width:
        return line
    margin = " " * min(indent, width // 4)
    return textwrap.fill(line, width, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False)


def _summary(op: type[Op]) -> str:
    return written(op).partition("\n")[0].rstrip(".")
