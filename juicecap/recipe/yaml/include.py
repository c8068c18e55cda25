"""`include: FILE` (or a list of files): a recipe, or an op's block in it, takes over the keys of another YAML file.

Keys that stand beside `include` win over included ones, a later file wins over an earlier one, and a key's value is taken
whole: mappings are not mixed. Paths are relative to the file that names them. An included file may include others.

A path may lead anywhere, and may be wrong: only regular files with a name of YAML files are read, and of what is no mapping
nothing is shown. Messages show paths as they are written, with the names of variables.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from juicecap.errors import RecipeError
from juicecap.hidden import Hidden
from juicecap.naming import unnameable
from juicecap.recipe.problems import Problem, lines_of, shown
from juicecap.recipe.yaml.compose import MAX_NODES
from juicecap.recipe.yaml.environment import BadVariable, Filled, fill
from juicecap.recipe.yaml.path_starts import include_start
from juicecap.recipe.yaml.values import MAX_BYTES, SUFFIXES, KeyPath, Parsed, bare, is_named_yaml, key_path, parse, read

KEY = "include"

NEVER = ("/dev", "/proc", "/sys")
"""Folders of the system in which nobody's recipes lie, but what programs and devices say."""

_TAKEN = "the path of a YAML file, or a list of paths"

_NO_YAML = f"is no YAML file: only files that end in {' or '.join(SUFFIXES)} are included"

MAX_FILES = 100
"""Files that a recipe may include, one that is included twice counted twice. What they hold is bounded in all as a recipe is."""


def with_includes(parsed: Parsed) -> Included:
    """Put the included keys into the values of a recipe, in place; what is wrong with them joins its problems."""
    included = Included()
    included.into(parsed, Path(parsed.file).parent, {os.path.realpath(parsed.file): parsed.file})
    return included


@dataclass
class Included:
    """The files that were included."""

    texts: dict[str, str] = field(default_factory=dict)
    """Each file's text by its path, as messages show it."""
    paths: dict[str, None] = field(default_factory=dict)
    """Each file's path."""
    files: int = 0
    """How many were read, one that was read twice counted twice."""
    size: int = 0
    """How many bytes they have."""
    values: int = 0
    """How many values they hold."""
    full: bool = False
    """Whether they are more than may be included, so that no other one is read."""
    variables: dict[str, str] = field(default_factory=dict)
    """Values of variables in their paths, and their replacements in messages."""

    def into(self, parsed: Parsed, folder: Path, above: Mapping[str, str], *, blocks: bool = True) -> None:
        """Put in what the mappings of one file include.

        `folder` is where the file lies; `above` has the real paths of the files that lead to it, itself the last, and how they
        are told.
        """
        for trail in [*(_blocks(parsed.values) if blocks else ()), ()]:
            mapping = _at(parsed.values, trail)
            if isinstance(mapping, dict) and KEY in mapping:
                self._merge(parsed, folder, trail, mapping, above)

    def _merge(self, parsed: Parsed, folder: Path, trail: KeyPath, mapping: dict[Any, Any], above: Mapping[str, str]) -> None:
        own = {key: value for key, value in mapping.items() if key != KEY}
        taken: dict[Any, Any] = {}
        for at, name in self._names(parsed, (*trail, KEY), mapping[KEY]):
            other = None if self.full else self._load(parsed, at, folder / name.text, name.named, above, blocks=not trail)
            if other is None:
                continue
            taken.update(other.values)
            _forget(parsed, trail, other.values.keys() - own.keys())
            _adopt(parsed, trail, other, skip=own)
        mapping.clear()
        mapping.update({**taken, **own})

    def _names(self, parsed: Parsed, trail: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Filled]]:
        entries = [((*trail, index), each) for index, each in enumerate(value)] if isinstance(value, list) else [(trail, value)]
        for at, entry in entries if value is not None else ():  # null: nothing is included
            if not isinstance(entry, str) or not entry.strip():
                _complain(parsed, at, f"include takes {_TAKEN}, not {shown(entry)}")
                continue
            try:
                name = fill(entry)
            except BadVariable as error:
                _complain(parsed, at, f"include: {error.message}", error.hint)
                continue
            if name.text.strip():
                self.variables |= {value: f"${{{variable}}}" for variable, value in name.values}
                yield at, name
            else:
                _complain(parsed, at, f"include: {entry} is empty; it takes {_TAKEN}")

    def _load(
        self, parsed: Parsed, at: KeyPath, path: Path, named: str, above: Mapping[str, str], *, blocks: bool
    ) -> Parsed | None:
        """The included file's values, with what it includes itself; None if there is something wrong with it as a whole.

        `named` is its path as it is told, from the file that names it.
        """
        shown_path = str(Path(parsed.file).parent / named)
        try:
            text = self._text(path, shown_path, above)
            other = parse(text, shown_path)
            self._count(values=len(other.places))
            _expect_keys(other)
        except _Refused as error:
            hidden = Hidden(self.variables)
            folder = Path(parsed.file).parent
            start = include_start(os.path.relpath(path, folder), folder)
            hint = start if "did you mean" in start else error.hint or start
            _complain(parsed, at, f"include: {hidden.text(str(error))}", hidden.text(hint))
            return None
        except RecipeError as error:
            parsed.problems.extend(bare(problem) for problem in error.problems)
            return None
        self.texts[shown_path] = text
        self.paths[str(path)] = None
        self.into(other, path.parent, {**above, os.path.realpath(path): shown_path}, blocks=blocks)
        parsed.problems.extend(_elsewhere(problem, text) for problem in other.problems)
        return other

    def _text(self, path: Path, shown_path: str, above: Mapping[str, str]) -> str:
        """The text of the file."""
        real = "" if unnameable(str(path)) else os.path.realpath(path)
        if real in above:
            through = list(above.values())[list(above).index(real) + 1 :]
            way = f" through {', '.join(through)}" if through else ""
            raise _Refused(f"{shown_path} includes itself{way}")
        self._count(files=1)
        if why := unnameable(str(path)):
            raise _Refused(f"{shown_path} {why}")
        if refusal := _refusal(path, real):
            raise _Refused(f"{shown_path}: {refusal}")
        try:
            text = read(Path(real or path), waiting=False)
        except RecipeError as error:
            found = error.problems[0]
            line = f" (line {found.line})" if found.line else ""
            raise _Refused(f"{shown_path}{line}: {found.message}", found.hint) from error
        self._count(size=len(text.encode()))
        return text

    def _count(self, *, files: int = 0, size: int = 0, values: int = 0) -> None:
        """Count what is included; beyond a limit nothing more is read."""
        self.files, self.size, self.values = self.files + files, self.size + size, self.values + values
        self.full = True
        if self.files > MAX_FILES:
            raise _Refused(f"more than {MAX_FILES} files are included")
        if self.size > MAX_BYTES:
            raise _Refused(f"the files that are included have more than {MAX_BYTES:,} bytes in all")
        if self.values > MAX_NODES:
            raise _Refused(f"the files that are included hold more than {MAX_NODES:,} values in all")
        self.full = False


class _Refused(Exception):
    """A file is not included. `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def _expect_keys(included: Parsed) -> None:
    if not isinstance(included.values, dict):
        raise _Refused(f"{included.file} holds no keys: it must be a mapping, as a recipe or an op's block is")


def _refusal(path: Path, real: str) -> str:
    """Why a regular file is not read whose path leads to `real`; empty where it is, and where there is none."""
    if not os.path.isfile(real):
        return ""
    below = next((folder for folder in NEVER if real.startswith(f"{folder}/")), None)
    if below is None and is_named_yaml(real):
        return ""
    what = f"lies below {below}: nothing is included from there" if below else _NO_YAML
    return what if real == os.path.abspath(path) else f"leads to {real}, which {what}"


def _blocks(values: Any) -> Iterator[KeyPath]:
    """The trails of all ops' blocks."""
    process = values.get("process") if isinstance(values, dict) else None
    for index, item in enumerate(process if isinstance(process, list) else []):
        if isinstance(item, dict):
            yield from (("process", index, name) for name in item)


def _at(values: Any, trail: KeyPath) -> Any:
    for step in trail:
        values = values[step]
    return values


def _forget(parsed: Parsed, trail: KeyPath, keys: set[Any]) -> None:
    """Remove the places of what stands at these keys of the mapping at `trail`, and of which others take the place."""
    depth = len(trail)
    for table in (parsed.keys, parsed.places):
        for inner in [each for each in table if each[:depth] == trail and len(each) > depth and each[depth] in keys]:
            del table[inner]


def _adopt(parsed: Parsed, trail: KeyPath, other: Parsed, skip: dict[Any, Any]) -> None:
    """Take over the places of another file's keys, each with the name of its file."""
    for mine, theirs in ((parsed.keys, other.keys), (parsed.places, other.places)):
        for inner, span in theirs.items():
            if inner and inner[0] not in skip:
                mine[(*trail, *inner)] = span if span.file else replace(span, file=other.file)


def _complain(parsed: Parsed, trail: KeyPath, message: str, hint: str = "") -> None:
    span = parsed.places.get(trail)
    if span is None:  # of a dict
        parsed.problems.append(Problem(file=key_path(trail), message=message, hint=hint))
        return
    problem = Problem(
        file=parsed.file, line=span.line, column=span.column, length=max(1, span.length), message=message, hint=hint
    )
    parsed.problems.append(problem)


def _elsewhere(problem: Problem, text: str) -> Problem:
    """A problem of an included file, with the line that it is about."""
    if problem.excerpt is not None or not problem.line:
        return problem
    lines = lines_of(text)
    return replace(problem, excerpt=lines[problem.line - 1] if problem.line <= len(lines) else "")
