"""The docstrings of op classes as `help(OP)` and a notebook's `OP?` show them, with the parameters in groups.

They are made from the signature, as `juicecap ops NAME` and the pages of the ops are. A class is documented when it is taken from
`juicecap.ops`: to make the text the source of the class is parsed, which a run need not wait for.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from juicecap.ops.options.groups import heading
from juicecap.ops.schema import Parameter, grouped, parameters

if TYPE_CHECKING:
    from juicecap.ops.base import Op

WIDTH = 88
"""Columns of the text, which a notebook's help shows beside a margin."""

_written: dict[type, str] = {}
"""The docstrings of documented classes as their authors wrote them."""


def document(kind: type[Op]) -> type[Op]:
    """The class, whose docstring has its parameters from now on."""
    if kind not in _written:
        own = written(kind)
        text = "\n".join([own, "", *_parameters(kind)])
        _written[kind] = own
        kind.__doc__ = text
    return kind


def written(kind: type) -> str:
    """What the author of a class says of it, without its parameters."""
    return _written[kind] if kind in _written else inspect.cleandoc(kind.__doc__ or "")


def _parameters(kind: type[Op]) -> Iterator[str]:
    yield "Parameters, all by name; where a sentence says `null`, Python has `None`."
    for group, some in grouped(parameters(kind)):
        title = heading(group)
        yield from ("", f"{title[0].upper()}{title[1:]}")
        for parameter in some:
            yield f"    {parameter.name}: {_type(parameter)}"
            yield from textwrap.wrap(parameter.help, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)


def _type(parameter: Parameter) -> str:
    kind = parameter.type.replace("null", "None")
    return kind if parameter.default is dataclasses.MISSING else f"{kind} = {_default(parameter.default)}"


def _default(value: object) -> str:
    """A default as Python has it."""
    return "no limit" if value in (float("inf"), sys.maxsize) else repr(value)
