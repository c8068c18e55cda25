"""Problems of a recipe, and how they are shown: where, what, what next.

A report looks like this, one block for each problem, in the order of the file:

    recipes/video_caption.yaml:17:7: video_captioning_from_vlm_mapper[3] has no parameter 'caption_nmu'
       17 |       caption_nmu: 3
          |       ^^^^^^^^^^^
       did you mean 'caption_num'?  (juicecap ops video_captioning_from_vlm_mapper)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from juicecap.errors import RecipeError
from juicecap.printable import printable, printable_line
from juicecap.text import near

WIDEST = 120
"""Characters of a line that are shown; a longer one is cut around the place."""

LONGEST_VALUE = 60
"""Characters of a value that a message repeats."""

LONGEST_MESSAGE = 1000
"""Characters of a message that are shown."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong, or, in a check's warnings, one thing to know."""

    file: str
    """The recipe's path, or `--set KEY=VALUE`; empty where the message itself names the place."""
    line: int | None = None
    """From 1; None where the problem has no place in a file."""
    column: int | None = None
    """From 1, in characters."""
    length: int = 0
    """Characters to underline; 0 shows no line of the file."""
    message: str
    hint: str = ""
    """What to do next."""
    excerpt: str | None = None
    """The line, where it is one of an included file; None: a line of the recipe."""

    @property
    def place(self) -> str:
        """`file:line:column`, as far as they are known."""
        return ":".join(str(each) for each in (self.file, self.line, self.column) if each)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


def render(problems: Iterable[Problem], text: str) -> str:
    """The report: each problem once, sorted by position. `text` is the recipe's."""
    lines = lines_of(text)
    return "\n".join(line for problem in in_order(problems) for line in _block(problem, lines))


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each problem once, by position: those of the recipe, those of the files that it includes, those without a position."""

    def position(problem: Problem) -> tuple[bool, str, int, int]:
        included = problem.file if problem.excerpt is not None else ""
        return problem.line is None, included, problem.line or 0, problem.column or 0

    return sorted(dict.fromkeys(problems), key=position)


def lines_of(text: str) -> list[str]:
    """The lines of the text, by what YAML calls a line break."""
    return re.split("\r\n|[\n\r\x85\u2028\u2029]", text)


def failure(problems: Sequence[Problem], text: str) -> RecipeError:
    """The error that carries these problems."""
    return RecipeError(render(problems, text), in_order(problems))


def shown(value: object) -> str:
    """A value for a message, as YAML and not too long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


MOST_SUGGESTED = 50
"""Problems after which no more similar names are searched: with this many, the file is probably no recipe."""


def suggestion(word: object, words: Iterable[str], otherwise: str = "", *, after: int = 0) -> str:
    """`did you mean …?` for a hint, or `otherwise`; `after` is the number of problems before it."""
    found = near(word, words) if after < MOST_SUGGESTED else None
    return f"did you mean {found!r}?" if found else otherwise


def _block(problem: Problem, lines: Sequence[str]) -> list[str]:
    place = printable_line(problem.place)
    said = f"{place}: {printable(problem.message)}" if place else printable(problem.message)
    block = [said if len(said) <= LONGEST_MESSAGE else f"{said[:LONGEST_MESSAGE]}…"]
    whole = problem.excerpt
    if whole is None and problem.line and problem.line <= len(lines):
        whole = lines[problem.line - 1]
    if problem.line and problem.column and problem.length and whole is not None:
        line, start = _cut(printable(whole), problem.column - 1)
        marked = line[start : start + problem.length]
        before = "".join("\t" if char == "\t" else " " * _width(char) for char in line[:start])
        margin = max(5, len(str(problem.line)))
        block.append(f"{problem.line:>{margin}} | {line}")
        block.append(f"{'':>{margin}} | {before}{'^' * max(1, sum(map(_width, marked)))}")
    if problem.hint:
        block.append(f"   {printable(problem.hint)}")
    return block


def _cut(line: str, start: int) -> tuple[str, int]:
    """At most `WIDEST` characters of the line, the character at `start` among them, and where that one is now."""
    if len(line) <= WIDEST:
        return line, start
    first = 0 if start < WIDEST * 2 // 3 else start - WIDEST // 3
    middle = line[first : first + WIDEST]
    left, right = "…" if first else "", "…" if first + WIDEST < len(line) else ""
    return f"{left}{middle}{right}", start - first + len(left)


def _width(char: str) -> int:
    """Columns that the character takes in a terminal."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
