"""`juicecap completion SHELL`: the script with which a shell completes verbs, options, ops, templates and the keys of `--set`.

The shell asks the program itself at each TAB, through argcomplete, so ops of installed packages are known as well.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from juicecap.cli.printing import show
from juicecap.errors import JuicecapError
from juicecap.text import numbered

SHELLS = ("bash", "fish", "zsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("shell", choices=SHELLS, help="the shell; docs/recipes.md says where the script goes")


def main(options: argparse.Namespace) -> int:
    """Print the script."""
    from argcomplete.shell_integration import shellcode

    show(shellcode(["juicecap"], shell=options.shell).strip())
    return 0


def answer(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks for completions, and end the process."""
    import argcomplete
    from argcomplete.completers import FilesCompleter

    completers = {
        "dataset": FilesCompleter(),
        "source": FilesCompleter(),
        "name": _ops,
        "operators": FilesCompleter(("py",)),
        "overrides": _keys,
        "recipe": FilesCompleter(("yaml", "yml")),
    }
    for action in _actions(parser):
        if action.dest in completers and not action.choices:
            action.completer = completers[action.dest]  # type: ignore[attr-defined]  # argcomplete's way of saying it
    argcomplete.autocomplete(parser)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001  (argparse has no public name for it)
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  (as above)
            for verb in action.choices.values():
                yield from _actions(verb)


def _ops(**_: Any) -> list[str]:
    from juicecap.ops import catalog

    return catalog.names()


def _keys(parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """The keys that `--set` takes for this recipe: its own, and the parameters of its ops."""
    from juicecap.ops import catalog, schema
    from juicecap.recipe.keys import IGNORED, RecipeKeys
    from juicecap.recipe.yaml.values import parse, read

    keys = [each.name for each in schema.parameters(RecipeKeys) if each.name not in IGNORED]
    try:
        values = parse(read(Path(parsed_args.recipe or ""), waiting=False), "").values
    except JuicecapError:
        values = None
    process = values.get("process") if isinstance(values, dict) else None
    items = [item if isinstance(item, dict) else [item] for item in (process if isinstance(process, list) else [])]
    ops = [(number, str(op)) for number, item in enumerate(items, start=1) for op in item]
    times = Counter(op for _, op in ops)
    for number, op in ops:
        label = numbered(op, number) if times[op] > 1 else op
        with suppress(JuicecapError):  # a misspelling, or an op of a file that is not read for this
            keys += [f"{label}.{name}" for name in schema.names(catalog.find(op))]
    return [f"{key}=" for key in keys]
