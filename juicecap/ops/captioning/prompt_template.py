"""Prompts with `{column}` in them, which is filled from each sample. `{{` and `}}` stand for the braces themselves."""

from __future__ import annotations

import string
from typing import Any

from juicecap.data.writing.lines import json_text
from juicecap.errors import SampleError
from juicecap.nested import value_of
from juicecap.sample import Sample, short_repr


def template_columns(template: str) -> tuple[str, ...]:
    """The columns that a template names, each once, in order.

    Raises:
        ValueError: it is no template; the message is a sentence.
    """
    try:
        fields = [each[1:] for each in string.Formatter().parse(template) if each[1] is not None]
    except ValueError as error:
        raise ValueError(f"{str(error).lower()}: write {{{{ and }}}} for braces that name no column") from None
    for name, form, conversion in fields:
        if not name or form or conversion:
            written = f"{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}"
            raise ValueError(f"{{{written}}} is no column's name: write {{{{ and }}}} for braces that name no column")
    return tuple(dict.fromkeys(str(name) for name, _, _ in fields))


def filled(template: str, sample: Sample) -> str:
    """The prompt for one sample. Lists, objects, true and false are written as JSON.

    Raises:
        SampleError: `NO_VALUE` if the sample lacks a value that the template names; `BAD_VALUE` if it has one that is no text
            and that JSON has not.
    """
    pieces = []
    for text, name, _, _ in string.Formatter().parse(template):
        pieces.append(text)
        if name is not None:
            value = value_of(sample, name)
            if value is None:
                raise SampleError("NO_VALUE", f"the prompt names the column {name!r}, which is null here")
            pieces.append(_written(name, value))
    return "".join(pieces)


def _written(name: str, value: Any) -> str:
    try:
        return json_text(value) if isinstance(value, bool | float | list | dict) else str(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise SampleError("BAD_VALUE", f"the prompt names the column {name!r}, which holds {short_repr(value)}") from error
