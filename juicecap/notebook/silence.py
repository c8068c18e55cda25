"""A run in Python says nothing unless it is asked to (`progress=True`); its warnings are kept for its result.

juicecap logs by loguru, which has a handler of its own that writes everything to stderr unless a program sets up others. While a
recipe runs, that one leaves out what juicecap says. Handlers that somebody set up get everything, and so does `log.jsonl`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from loguru import logger

from juicecap.cli.progress.display import display
from juicecap.cli.progress.warnings import Warnings, not_an_error
from juicecap.hidden import Hidden
from juicecap.notebook.progress import NotebookProgress, in_notebook
from juicecap.runner import Progress

if TYPE_CHECKING:
    from loguru import Message, Record

OWN_HANDLER = 0
"""The number of loguru's own handler, by its documentation."""

_runs = 0
"""How many recipes run now."""


@contextmanager
def showing(
    progress: Progress | bool | None,  # noqa: FBT001  (as `run` was given it)
    hidden: Hidden,
) -> Iterator[tuple[Progress | None, list[str]]]:
    """A block in which a recipe runs: gives what its reports go to, and the list of its warnings, each once."""
    global _runs  # noqa: PLW0603
    _take_over()
    said: list[str] = []
    _runs += 1
    try:
        with _heard_by(Warnings(said.append), hidden):
            if progress is True:
                with NotebookProgress() if in_notebook() else display() as drawn, _heard_by(drawn.warnings, hidden):
                    yield drawn, said
            else:
                yield progress or None, said
    finally:
        _runs -= 1


@contextmanager
def _heard_by(warnings: Warnings, hidden: Hidden) -> Iterator[None]:
    """A block whose warnings, without what must not be shown, go there."""
    sink = logger.add(partial(warnings, hidden=hidden), level="WARNING", filter=not_an_error, format="{message}")
    try:
        yield
    finally:
        logger.remove(sink)


def _take_over() -> None:
    """Put a handler in the place of loguru's own, unless that is gone: it writes the same, but for juicecap's during a run."""
    with suppress(ValueError):
        logger.remove(OWN_HANDLER)
        logger.add(_to_stderr, filter=_is_shown, colorize=bool(sys.stderr and sys.stderr.isatty()))


def _to_stderr(message: Message) -> None:
    if sys.stderr:  # whatever it is now
        sys.stderr.write(message)


def _is_shown(record: Record) -> bool:
    return not (_runs and (record["name"] or "").partition(".")[0] == "juicecap")
