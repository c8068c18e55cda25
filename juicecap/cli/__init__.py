"""The command line: one file per verb, and the one place where errors become exit codes.

Exit codes: 0 all well; 1 the recipe or the data is wrong; 2 usage; 3 done, but more samples were rejected than
`max_rejected` allows; 4 the environment failed, running again resumes; 70 a bug; 130 interrupted, running again resumes.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any

import juicecap
from juicecap.cli.interrupt import INTERRUPTED, ending_in_good_order, ending_with, ignored_at_the_end
from juicecap.cli.printing import let_go_of_closed_pipes, nowhere, say, show
from juicecap.errors import BugError, JuicecapError, not_ours
from juicecap.printable import printable

VERBS = {
    "check": "find what is wrong with a recipe before it costs anything",
    "cite": "say how captions were made, as a paragraph for a paper and as BibTeX",
    "completion": "print the script with which a shell completes commands",
    "export": "write what trainers read from the result of a run, or from a dataset; no model is used",
    "init": "write a commented recipe to start from",
    "merge": "make one run of its shards, and export its result",
    "ops": "list the ops, or show the parameters of one",
    "plan": "estimate what a run will take: samples, frames, tokens, memory, time and cost",
    "preview": "run a recipe on a few samples and show what the model saw and answered",
    "run": "run a recipe and export its result",
    "schema": "print the JSON Schema of recipes, for editors",
    "status": "show the state of a run, while it goes on or afterwards",
    "why": "show where the samples of a run went, or what became of one of them",
}
"""Verb to what it does; each has a module here with `add_arguments(parser)` and `main(options) -> exit code`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    began = time.monotonic()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with ending_in_good_order():
            options = _parser(given).parse_args(given)  # imports the verb, which takes a moment
            options.began = began
            return int(_verb(options.verb).main(options))
    except BrokenPipeError:  # `juicecap ops | head`
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (the top of the program)
        return _told(error, given)
    finally:
        let_go_of_closed_pipes()


def _told(error: BaseException, given: Sequence[str]) -> int:
    """Print what ended the program and return its exit code."""
    if isinstance(error, KeyboardInterrupt):
        behind_the_echo = "\n" if sys.stderr and sys.stderr.isatty() else ""
        how = "again without --fresh" if "--fresh" in given else "the same command again"
        kept = f"; what is finished is kept, run {how} to go on" if given[:1] in (["run"], ["merge"], ["preview"]) else ""
        say(f"{behind_the_echo}interrupted{kept}")
        return INTERRUPTED
    if isinstance(error, JuicecapError):
        say(f"juicecap: this is a bug in juicecap, please report it: {error}" if isinstance(error, BugError) else str(error))
        for note in getattr(error, "__notes__", ()):
            say(note)
        return error.exit_code
    if failure := not_ours(error):
        say(str(failure))
        return failure.exit_code
    say("".join(traceback.format_exception(error)).rstrip())
    say("juicecap: this is a bug in juicecap, please report it with the lines above")
    return BugError.exit_code


def entry() -> None:
    """The program: run the command line and exit.

    An interrupted program does not wait for an engine that is in the middle of an answer.
    """
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions
        _verb("completion").answer(_parser(os.environ.get("COMP_LINE", "").split()))
    _open_closed_descriptors()
    ignored_at_the_end()
    code = main()
    ending_with(code)
    if code == INTERRUPTED:
        os._exit(code)
    sys.exit(code)


def _open_closed_descriptors() -> None:
    """Where standard output or error was closed (`2>&-`), let no file get its number: libraries and children write there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(nowhere(), True)


class _Parser(argparse.ArgumentParser):
    """Prints help as verbs print results: if it cannot be printed, that is a failure."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:
            show(message.removesuffix("\n"))
        else:
            super()._print_message(printable(message or ""), file)


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; only the verb that is named is imported."""
    parser = _Parser(prog="juicecap", description="Recipes that caption videos and images with vision-language models.")
    parser.add_argument("--version", action="version", version=f"juicecap {juicecap.__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, what in VERBS.items():
        verb = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        if name in given:
            _verb(name).add_arguments(verb)
    return parser


def _verb(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  (a module)
    return importlib.import_module(f"juicecap.cli.verbs.{name}")
