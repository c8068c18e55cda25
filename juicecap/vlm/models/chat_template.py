"""Rendering a chat template; `vlm.models.sandbox` runs this in a process of its own, since a template is a program.

Templates get what transformers gives them, in the same sandbox, so that the text is the same to the byte.

Source: `_compile_jinja_template` in transformers.utils.chat_template_utils; tests compare with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from importlib import metadata
from typing import Any, NoReturn

from jinja2 import Environment, Template, TemplateError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from juicecap.errors import EnvironmentFailure

SAFE = (3, 1, 6)
"""The first version of jinja2 of whose sandbox no leak is known, as transformers demands it."""

LONGEST_TEXT = 2**24
"""Characters that a template may make of a conversation."""

ALWAYS = ("messages", "tools", "documents", "add_generation_prompt")
"""What templates are told of every conversation, beside special tokens."""

LONGEST_COMPLAINT = 500
"""Characters of a template's complaint that are kept."""


def render(question: dict[str, Any]) -> dict[str, str]:
    """The `text` that the `template` makes of `messages`, with the tokenizer's special tokens (`names`), or its `complaint`."""
    try:
        template = _compiled(question["template"])
        text = template.render(
            messages=question["messages"], tools=None, documents=None, add_generation_prompt=True, **question["names"]
        )
    except (MemoryError, EnvironmentFailure):
        raise
    except Exception as error:  # noqa: BLE001  (a template raises whatever Python can)
        return {"complaint": f"{type(error).__name__}: {error}"[:LONGEST_COMPLAINT]}
    if len(text) > LONGEST_TEXT:
        return {"complaint": f"OverflowError: it makes a text of more than {LONGEST_TEXT:,} characters"}
    return {"text": text}


def names(template: str) -> list[str] | None:
    """The names at which a template looks, without what it is always told; None if it is no template."""
    try:
        environment = _environment()
        found = meta.find_undeclared_variables(environment.parse(template))
    except (MemoryError, EnvironmentFailure):
        raise
    except Exception:  # noqa: BLE001  (as in `render`)
        return None
    return sorted(name for name in found - {*environment.globals, *ALWAYS} if not name.endswith("_token"))


@lru_cache(maxsize=8)
def _compiled(template: str) -> Template:
    return _environment().from_string(template)


@lru_cache
def _environment() -> Environment:
    """What templates are given.

    Raises:
        EnvironmentFailure: the sandbox of the library that is installed is known to leak.
    """
    installed = metadata.version("jinja2")
    if tuple(map(int, re.findall(r"\d+", installed)[:3])) < SAFE:
        text = f"chat templates need jinja2 {'.'.join(map(str, SAFE))} or newer, and {installed} is installed"
        raise EnvironmentFailure(f"{text}: pip install -U jinja2")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    environment.filters["tojson"] = _tojson
    environment.globals |= {
        "raise_exception": _raise_exception,
        "strftime_now": _strftime_now,
        "dict": _Dict(),
        "namespace": _PublicNamespace,
    }
    return environment


class _Generation(Extension):
    """`{% generation %}` … `{% endgeneration %}`, which marks what the assistant says."""

    tags = {"generation"}  # noqa: RUF012  (as jinja2 declares it)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)

    def parse(self, parser: Parser) -> nodes.Node:
        """What stands between the tags, as it is."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

    def _said(self, caller: Callable[[], str]) -> str:
        return caller()


class _Dict:
    """`dict`, without the attributes of a type."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        """As `dict.fromkeys`."""
        return dict.fromkeys(*args, **kwargs)


class _PublicNamespace(Namespace):
    """`namespace`, which takes no name with a leading underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *rest = args  # so that `namespace(self=…)` works, as jinja2 has it
        values = dict(*rest, **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        Namespace.__setitem__(self, name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace takes no name with a leading underscore, such as {name!r}")


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _tojson(value: Any, ensure_ascii: Any = None, indent: Any = None, separators: Any = None, sort_keys: Any = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _strftime_now(words: str) -> str:
    return datetime.now().strftime(words)  # noqa: DTZ005  (as transformers has it)
