"""A recipe's text: its values as plain Python data, and where each of them stands.

Reads files as people leave them: what cannot be a recipe (no UTF-8, no mapping, a megabyte) is one problem; duplicate keys
and tags that ask for an object are problems of their own place, beside which the rest of the recipe is still read.
Aliases are expanded into copies, merge keys (`<<`) are honoured.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from juicecap.plain import NotPlain, kind_at, read_beginning, read_pipe
from juicecap.recipe.problems import Problem, failure, lines_of, shown, suggestion
from juicecap.recipe.yaml.compose import MAX_NODES, Loader, NotYaml, compose

SUFFIXES = (".yaml", ".yml")
"""The suffixes of YAML files."""

MAX_BYTES = 1_000_000

MOST_SIBLINGS = 1000
"""Recipes of a folder among which a near name is looked for."""

PATIENCE = 30.0
"""Seconds that a recipe in a pipe is waited for, and each piece of it."""

LONGEST_WORD = 100
"""Characters of a number, or of another value that is not text."""
INT_BITS = 64
KeyPath = tuple[str | int, ...]
"""Keys and list positions that lead from the root to a value."""

_WORDS_IN_QUOTES = re.compile(r"""(['"])(?:(?!\1).){2,}\1""")
"""Names from a text that is no YAML. Single characters are left, as in "a value cannot begin with '@'"."""

_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"


@dataclass(frozen=True)
class SourceSpan:
    """Where something stands: line and column from 1, and how many characters it has on that line."""

    line: int
    column: int
    length: int
    file: str = ""
    """The included file; empty for the recipe itself."""


@dataclass
class Parsed:
    """Values of a YAML text with their places."""

    file: str
    text: str
    values: Any = None
    keys: dict[KeyPath, SourceSpan] = field(default_factory=dict)
    places: dict[KeyPath, SourceSpan] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_mapping: bool = False
    """Whether they were given as a dict of Python's, in which nothing has a place."""


def read(path: Path, *, waiting: bool = True) -> str:
    """The text of a recipe file. `waiting`: it may be a pipe, and whoever writes into it is waited for, `PATIENCE` long.

    Raises:
        RecipeError: there is no such file, or it cannot be a recipe.
    """
    try:
        if not waiting:
            data = read_beginning(path, MAX_BYTES + 1, follow=True)
        elif kind_at(path, follow=True) == "a named pipe":
            data = read_pipe(path, MAX_BYTES + 1, PATIENCE)
        else:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    except TimeoutError:
        hint = "write the recipe into a file, or let what writes it begin first"
        raise _unreadable(path, f"is a pipe into which nobody has written for {PATIENCE:.0f} seconds", hint) from None
    except FileNotFoundError:
        raise _unreadable(path, "there is no such file", suggestion(path.name, _siblings(path))) from None
    except NotPlain:
        raise _unreadable(path, "is no regular file") from None
    except IsADirectoryError:
        raise _unreadable(path, "is a folder, not a recipe") from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise _unreadable(path, f"is larger than {MAX_BYTES:,} bytes; that is no recipe")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")) + 1
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        problem = Problem(file=str(path), line=line, column=column, message=message, hint="save the file as UTF-8")
        raise failure([problem], "") from None


def _siblings(path: Path) -> list[str]:
    """The names of the recipes in the folder, or of many of them."""
    return [each.name for each in itertools.islice(path.parent.glob("*.y*ml"), MOST_SIBLINGS)] if path.parent.is_dir() else []


def key_path(trail: KeyPath) -> str:
    """Where something stands in a dict: `process[0].video_duration_filter.max_duration`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in trail)
    return "".join(steps).removeprefix(".") or "recipe"


def is_named_yaml(path: str | Path) -> bool:
    """Whether a file, links followed, has a name of YAML files."""
    return Path(os.path.realpath(path)).suffix.lower() in SUFFIXES


def bare(problem: Problem) -> Problem:
    """The problem with a text that is not YAML, with nothing of the text: it may not have been meant for a recipe."""
    return replace(problem, message=_WORDS_IN_QUOTES.sub("…", problem.message), length=0, excerpt="")


def parse(text: str, file: str) -> Parsed:
    """The values of the text.

    Raises:
        RecipeError: it is not YAML, or its aliases lead into themselves or expand beyond any recipe.
    """
    parsed = Parsed(file, text)
    try:
        root = compose(text)
        if root is not None:
            parsed.values = _Values(parsed).of(root, ())
    except NotYaml as error:
        problem = Problem(file=file, line=error.line, column=error.column, length=1, message=error.message, hint=error.hint)
        raise failure([problem], text) from None
    return parsed


def _unreadable(path: Path, message: str, hint: str = "") -> Exception:
    return failure([Problem(file=str(path), message=message, hint=hint)], "")


class _Values:
    """Turns nodes into values and notes where they stand."""

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed
        self.lines = lines_of(parsed.text)
        self.scalars = Loader("")
        self.open: set[int] = set()
        self.count = 0

    def of(self, node: yaml.Node, trail: KeyPath) -> Any:
        """The value of the node, which stands at `trail`."""
        self.count += 1
        span = self.place(node)
        if id(node) in self.open:
            raise NotYaml("this value contains itself through an alias", span.line, span.column)
        if self.count > MAX_NODES:
            raise NotYaml(f"aliases expand to more than {MAX_NODES:,} values", span.line, span.column)
        self.parsed.places[trail] = span
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                self.expect_tag(node, "map")
                return self.mapping(node, trail)
            if isinstance(node, yaml.SequenceNode):
                self.expect_tag(node, "seq")
                return [self.of(child, (*trail, index)) for index, child in enumerate(node.value)]
            return self.scalar(node)
        finally:
            self.open.discard(id(node))

    def mapping(self, node: yaml.MappingNode, trail: KeyPath) -> dict[str | int, Any]:
        values: dict[str | int, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                values.update(self.merged(value_node, trail))
        own: dict[str | int, SourceSpan] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            span = self.place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.report(span, "a key must be one word, not a list or a mapping")
                continue
            key = self.scalar(key_node) if key_node.tag == f"{_TAG}int" else self.characters(key_node)
            if key in own:
                self.report(span, f"{shown(key)} is set twice; first in line {own[key].line}")
                continue
            own[key] = self.parsed.keys[(*trail, key)] = span
            values[key] = self.of(value_node, (*trail, key))
        return values

    def merged(self, node: yaml.Node, trail: KeyPath) -> dict[str | int, Any]:
        """The mapping, or the mappings of a list, that `<<` brings in; the first of a list wins."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        values: dict[str | int, Any] = {}
        for each in reversed(nodes):
            if isinstance(each, yaml.MappingNode):
                values.update(self.of(each, trail))
            else:
                self.report(self.place(each), "'<<' takes a mapping, or a list of mappings")
        return values

    def scalar(self, node: yaml.Node) -> Any:
        readers = {
            "null": self.scalars.construct_yaml_null,
            "bool": self.scalars.construct_yaml_bool,
            "int": self.scalars.construct_yaml_int,
            "float": self.scalars.construct_yaml_float,
        }
        kind = node.tag.removeprefix(_TAG)
        if kind not in readers:
            self.expect_tag(node, "str")
            return self.characters(node)
        wanted = {"int": "an int of 64 bits"}.get(kind, f"a {kind}")
        try:
            if len(node.value) > LONGEST_WORD:  # reading it as a number could take for ever
                raise ValueError  # noqa: TRY301  (caught here on purpose)
            value = readers[kind](node)  # type: ignore[arg-type]  # the node is a scalar, as the kind says
            if isinstance(value, int) and value.bit_length() > INT_BITS:
                raise OverflowError  # noqa: TRY301  (as above)
            if isinstance(value, float) and math.isinf(value) and "inf" not in node.value.lower():
                raise OverflowError  # noqa: TRY301  (as above)
        except (ValueError, KeyError, IndexError, OverflowError):
            self.report(self.place(node), f"{shown(node.value)} is not {wanted}")
            return node.value[:LONGEST_WORD]
        return value

    def characters(self, node: yaml.Node) -> str:
        text: str = node.value
        try:
            text.encode()
        except UnicodeEncodeError:
            self.report(self.place(node), "a \\u escape is half of a surrogate pair and stands for no character")
            return text.encode(errors="replace").decode()
        return text

    def expect_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != f"{_TAG}{kind}":
            tag = shown(node.tag.replace(_TAG, "!!"))
            self.report(self.place(node), f"the tag {tag} is not allowed: a recipe holds plain values")

    def place(self, node: yaml.Node) -> SourceSpan:
        start, end = node.start_mark, node.end_mark
        if start.line == end.line:
            return SourceSpan(start.line + 1, start.column + 1, end.column - start.column)
        return SourceSpan(start.line + 1, start.column + 1, max(1, len(self.lines[start.line].rstrip()) - start.column))

    def report(self, span: SourceSpan, message: str) -> None:
        problem = Problem(file=self.parsed.file, line=span.line, column=span.column, length=span.length, message=message)
        self.parsed.problems.append(problem)
