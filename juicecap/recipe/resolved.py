"""The recipe of a run as one YAML text: with included files, with values of the command line, and remarks about both.

`${NAME}` stays as it is written, so that no secret lands on the disk. The text is a recipe again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

import juicecap
from juicecap.printable import folded
from juicecap.recipe.problems import lines_of
from juicecap.recipe.types import Recipe
from juicecap.recipe.yaml.source import Source
from juicecap.recipe.yaml.values import KeyPath, SourceSpan, parse


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and each other text in one line."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Represent a text: in block style if it has several lines."""
        lines = lines_of(data)
        style = None if len(lines) == 1 else "|" if data.split("\n") == lines else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def resolved_text(recipe: Recipe) -> str:
    """The text of `recipe.yaml` in a run folder."""
    body = yaml.dump(dict(recipe.resolved), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    lines = body.split("\n")[:-1]
    places = parse(body, "")
    above: dict[int, list[str]] = {}
    for trail, remark in _remarks(recipe.source):
        span = places.keys.get(trail) or places.places[trail]
        value: Any = recipe.source.written
        for step in trail:
            value = value[step]
        if isinstance(value, str) and "\n" in value:
            above.setdefault(span.line, []).append(" " * (span.column - 1) + f"# {remark}")
        else:
            lines[span.line - 1] += f"; {remark}" if "  # " in lines[span.line - 1] else f"  # {remark}"
    whole = [line for number, line in enumerate(lines, start=1) for line in (*above.get(number, ()), line)]
    what = "A recipe given in Python" if recipe.source.is_mapping else folded(str(recipe.path))
    head = f"# {what} as juicecap {juicecap.__version__} ran it. Remarks tell what does not stand in that file."
    return "\n".join([head, *whole]) + "\n"


def _remarks(source: Source) -> Iterator[tuple[KeyPath, str]]:
    """The values that come from another file, an option or the environment; parts of a value that is listed are not repeated."""
    yield from _remarks_below(source, (), source.written, "")


def _remarks_below(source: Source, trail: KeyPath, value: Any, origin_above: str) -> Iterator[tuple[KeyPath, str]]:
    origin, remark = _origin(source, trail) if trail else ("", "")
    if remark and origin != origin_above:
        yield trail, remark
    if trail in source.filled:
        yield from ((trail, each) for each in source.filled[trail].origins)
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _remarks_below(source, (*trail, step), inner, origin)


def _origin(source: Source, trail: KeyPath) -> tuple[str, str]:
    """What set the value, and its description; two empty texts for the recipe itself."""
    span = source.place(trail, "key")
    if isinstance(span, str):
        return span, "--set"
    if isinstance(span, SourceSpan) and span.file:
        return span.file, f"{folded(span.file)}:{span.line}"
    return "", ""
