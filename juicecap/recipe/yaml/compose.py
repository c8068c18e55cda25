"""Composes YAML text into a graph of nodes, by the rules of YAML 1.1's safe subset, or says in a sentence why it is none.

Dates stay text. Nothing is constructed here: `values.py` makes values from nodes, and checks their tags.
"""

from __future__ import annotations

import re

import yaml

from juicecap.recipe.problems import lines_of

MAX_NODES = 20_000
MAX_DEPTH = 100
_STAY_TEXT = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")


class NotYaml(Exception):
    """The text is not YAML. `line` and `column` count from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.hint = message, line, column, hint


class Loader(yaml.SafeLoader):
    """Composes as PyYAML's SafeLoader does, except that dates stay text and that depth and number have a limit."""

    yaml_implicit_resolvers = {  # noqa: RUF012  PyYAML's own way of saying it
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _STAY_TEXT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0
        self.nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, within the limits of depth and number."""
        self.depth += 1
        self.nodes += 1
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # so in PyYAML's stubs
        if self.depth > MAX_DEPTH:
            raise NotYaml(f"values are nested deeper than {MAX_DEPTH} levels", mark.line + 1, mark.column + 1)
        if self.nodes > MAX_NODES:
            raise NotYaml(f"there are more than {MAX_NODES:,} values", mark.line + 1, mark.column + 1)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def compose(text: str) -> yaml.Node | None:
    """The root node; None for a text without any.

    Raises:
        NotYaml: the text is not YAML, or deeper or longer than a recipe can be.
    """
    loader = None
    try:
        loader = Loader(text)
        return loader.get_single_node()
    except yaml.reader.ReaderError as error:
        before = lines_of(text[: error.position])
        char = f"U+{ord(text[error.position]):04X}"
        raise NotYaml(f"the character {char} may not stand in YAML", len(before), len(before[-1]) + 1) from None
    except yaml.MarkedYAMLError as error:
        raise _explained(error, text) from None
    except (ValueError, OverflowError) as error:  # an escape beyond Unicode, such as "\U00110000"
        mark = loader.get_mark() if loader else None
        raise NotYaml(f"not valid YAML: {error}", mark.line + 1 if mark else 1, mark.column + 1 if mark else 1) from None


def _explained(error: yaml.MarkedYAMLError, text: str) -> NotYaml:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return NotYaml(f"not valid YAML: {error.problem}")
    line, problem, begin = lines_of(text)[mark.line], error.problem or "", error.context_mark
    tab = re.match(r" *\t", line)
    if tab:
        return NotYaml("a tab in the indentation", mark.line + 1, tab.end(), "YAML is indented with spaces")
    if begin and re.search("end of stream|stream end", problem):
        return NotYaml(f"not valid YAML: the recipe ends {error.context} that begins here", begin.line + 1, begin.column + 1)
    for pattern, message, hint in _PLAIN_WORDS:
        if re.search(pattern, problem):
            return NotYaml(message.format(char=line[mark.column : mark.column + 1]), mark.line + 1, mark.column + 1, hint)
    since = f" {error.context}, which begins in line {begin.line + 1}" if begin else ""
    return NotYaml(f"not valid YAML: {problem}{since}", mark.line + 1, mark.column + 1)


_PLAIN_WORDS = (
    ("another document", "a second YAML document begins here; a recipe is one", "remove the line '---'"),
    ("mapping values are not allowed", "not valid YAML: a second ':' in one entry", "a text that holds ': ' needs quotes"),
    ("cannot start any token", "not valid YAML: a value cannot begin with {char!r}", "a text that does needs quotes"),
    (r"expected <block end>, but found '(<block|\?|-)", "not valid YAML: the indentation of this line fits none above it", ""),
)
"""Messages of PyYAML, and their meaning in a recipe: (pattern, message, hint)."""
