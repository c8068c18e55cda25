"""`juicecap ops [NAME]`: the table of ops, or one op's parameters."""

from __future__ import annotations

import argparse
import inspect
import textwrap

from juicecap.errors import JuicecapError
from juicecap.ops import catalog
from juicecap.ops.base import Op
from juicecap.ops.schema import Parameter, default_text, family, parameters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", nargs="?", help="an op; without it, all are listed")


def main(options: argparse.Namespace) -> int:
    """Print the table or the op."""
    print(_one(options.name) if options.name else _all())
    return 0


def _all() -> str:
    names = catalog.names()
    width = max(map(len, names))
    found: dict[str, list[str]] = {}
    for name in names:
        try:
            op = catalog.find(name)
        except JuicecapError as error:  # an installed package that is broken hides no other op
            found.setdefault("cannot be imported", []).append(f"  {name.ljust(width)}  {error}")
            continue
        found.setdefault(family(op), []).append(f"  {name.ljust(width)}  {_summary(op)}")
    return "\n\n".join(f"{kind}\n" + "\n".join(lines) for kind, lines in sorted(found.items()))


def _one(name: str) -> str:
    op = catalog.find(name)
    own = [each for each in parameters(op) if not each.inherited]
    shared = [each for each in parameters(op) if each.inherited]
    lines = [f"{name}  ({family(op)})", "", textwrap.fill(inspect.cleandoc(op.__doc__ or ""), 100), "", "parameters"]
    lines += [_parameter(each) for each in own] or ["  none of its own"]
    lines += ["", "columns and tokens (every op has these; a recipe sets them once for all ops)"]
    lines += [f"  {each.name}: {default_text(each.default)}" for each in shared]
    return "\n".join(lines)


def _parameter(parameter: Parameter) -> str:
    head = f"  {parameter.name}: {parameter.type}, default {default_text(parameter.default)}"
    return head + "\n" + textwrap.fill(parameter.help, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _summary(op: type[Op]) -> str:
    return inspect.cleandoc(op.__doc__ or "").partition("\n")[0].rstrip(".")
