"""`include: FILE` (or a list of files): a recipe, or an op's block in it, takes over the keys of another YAML file.

Keys that stand beside `include` win over included ones, a later file wins over an earlier one, and a key's value is taken
whole: mappings are not mixed. Paths are relative to the file that names them. An included file may include others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from juicecap.errors import RecipeError
from juicecap.naming import unnameable
from juicecap.recipe.environment import BadVariable, fill
from juicecap.recipe.problems import Problem, lines_of, shown
from juicecap.recipe.text import Parsed, Trail, parse, read

KEY = "include"

MAX_FILES = 100
"""Files that a recipe may include, one that is included twice counted twice."""


def with_includes(parsed: Parsed) -> Included:
    """Put the included keys into the values of a recipe, in place; what is wrong with them joins its problems."""
    included = Included()
    included.into(parsed, (os.path.realpath(parsed.file),))
    return included


@dataclass
class Included:
    """The files that were included."""

    texts: dict[str, str] = field(default_factory=dict)
    """Each file's text by its path."""
    count: int = 0
    """How many were read, one that was read twice counted twice."""

    def into(self, parsed: Parsed, above: tuple[str, ...], *, blocks: bool = True) -> None:
        """Put in what the mappings of one file include; `above` are the real paths of the files that lead to it."""
        for trail in [*(_blocks(parsed.values) if blocks else ()), ()]:
            mapping = _at(parsed.values, trail)
            if isinstance(mapping, dict) and KEY in mapping:
                self._merge(parsed, trail, mapping, above)

    def _merge(self, parsed: Parsed, trail: Trail, mapping: dict[Any, Any], above: tuple[str, ...]) -> None:
        own = {key: value for key, value in mapping.items() if key != KEY}
        taken: dict[Any, Any] = {}
        for at, name in self._names(parsed, (*trail, KEY), mapping[KEY]):
            other = self._load(parsed, at, name, above, blocks=not trail)
            if other is None:
                continue
            taken.update(other.values)
            _forget(parsed, trail, other.values.keys() - own.keys())
            _adopt(parsed, trail, other, skip=own)
        mapping.clear()
        mapping.update({**taken, **own})

    def _names(self, parsed: Parsed, trail: Trail, value: Any) -> Iterator[tuple[Trail, str]]:
        entries = [((*trail, index), each) for index, each in enumerate(value)] if isinstance(value, list) else [(trail, value)]
        for at, entry in entries:
            if not isinstance(entry, str) or not entry:
                _complain(parsed, at, f"include takes the path of a YAML file, or a list of paths, not {shown(entry)}")
                continue
            try:
                yield at, fill(entry).text
            except BadVariable as error:
                _complain(parsed, at, f"include: {error.message}", error.hint)

    def _load(self, parsed: Parsed, at: Trail, name: str, above: tuple[str, ...], *, blocks: bool) -> Parsed | None:
        """The included file's values, with what it includes itself; None if there is something wrong with it as a whole."""
        path = Path(parsed.file).parent / name
        if why := unnameable(str(path)):
            _complain(parsed, at, f"include: {path} {why}")
            return None
        real = os.path.realpath(path)
        self.count += 1
        if real in above or self.count > MAX_FILES:
            through = above[above.index(real) + 1 :] if real in above else ()
            way = f" through {', '.join(map(os.path.relpath, through))}" if through else ""
            what = f"{path} includes itself{way}" if real in above else f"more than {MAX_FILES} files are included"
            _complain(parsed, at, f"include: {what}")
            return None
        try:
            text = read(path, waiting=False)
        except RecipeError as error:
            found = error.problems[0]
            place = f" (line {found.line})" if found.line else ""
            _complain(parsed, at, f"include: {path}{place}: {found.message}", found.hint)
            return None
        try:
            other = parse(text, str(path))
        except RecipeError as error:
            parsed.problems.extend(_elsewhere(problem, text) for problem in error.problems)
            return None
        self.texts[str(path)] = text
        if not isinstance(other.values, dict):
            _complain(parsed, at, f"include: {path} holds no keys: it must be a mapping, as a recipe or an op's block is")
            return None
        self.into(other, (*above, real), blocks=blocks)
        parsed.problems.extend(_elsewhere(problem, text) for problem in other.problems)
        return other


def _blocks(values: Any) -> Iterator[Trail]:
    """The trails of all ops' blocks."""
    process = values.get("process") if isinstance(values, dict) else None
    for index, item in enumerate(process if isinstance(process, list) else []):
        if isinstance(item, dict):
            yield from (("process", index, name) for name in item)


def _at(values: Any, trail: Trail) -> Any:
    for step in trail:
        values = values[step]
    return values


def _forget(parsed: Parsed, trail: Trail, keys: set[Any]) -> None:
    """Remove the places of what stands at these keys of the mapping at `trail`, and of which others take the place."""
    depth = len(trail)
    for table in (parsed.keys, parsed.places):
        for inner in [each for each in table if each[:depth] == trail and len(each) > depth and each[depth] in keys]:
            del table[inner]


def _adopt(parsed: Parsed, trail: Trail, other: Parsed, skip: dict[Any, Any]) -> None:
    """Take over the places of another file's keys, each with the name of its file."""
    for mine, theirs in ((parsed.keys, other.keys), (parsed.places, other.places)):
        for inner, place in theirs.items():
            if inner and inner[0] not in skip:
                mine[(*trail, *inner)] = place if place.file else replace(place, file=other.file)


def _complain(parsed: Parsed, trail: Trail, message: str, hint: str = "") -> None:
    place = parsed.places[trail]
    problem = Problem(
        file=parsed.file, line=place.line, column=place.column, length=max(1, place.length), message=message, hint=hint
    )
    parsed.problems.append(problem)


def _elsewhere(problem: Problem, text: str) -> Problem:
    """A problem of an included file, with the line that it is about."""
    if problem.excerpt is not None or not problem.line:
        return problem
    lines = lines_of(text)
    return replace(problem, excerpt=lines[problem.line - 1] if problem.line <= len(lines) else "")
