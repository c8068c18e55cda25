"""The progress of a run in a notebook: a bar for each op at work, and a line for each that is done.

Notebooks replace what they show by its id, which needs no extension; IPython is there where a notebook is. All is in HTML without
colours but those of the bars, so that it can be read on light and on dark, and in plain text for what shows no HTML.
"""

from __future__ import annotations

import contextvars
import sys
from html import escape
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from juicecap.cli.progress.warnings import Warnings
from juicecap.printable import printable
from juicecap.report import words
from juicecap.runner import Progress, RunStatus, StepStatus

MOST_LINES = 100
"""Lines of ops and warnings that are shown, the last ones."""

_BAR = (
    '<div style="max-width:40em;margin:.3em 0"><div><b>{title}</b></div>'
    '<div style="background:rgba(128,128,128,.3);border-radius:3px;height:.6em">'
    '<div style="background:#2a9d5c;border-radius:3px;height:.6em;width:{percent}%"></div></div>'
    '<div style="font-size:90%">{told}</div></div>'
)


def in_notebook() -> bool:
    """Whether this is a kernel of Jupyter's, which shows HTML."""
    shell = _ipython().get_ipython() if _ipython() else None
    return hasattr(shell, "kernel")


def _ipython() -> Any:
    """The module, if it is loaded: in a notebook it is, and elsewhere it may not be installed."""
    return sys.modules.get("IPython")


class NotebookProgress(Progress):
    """A `runner.Progress` that draws in the cell; a context manager for the time of the run."""

    def __init__(self) -> None:
        self.warnings = Warnings(self._line)
        self._lines: list[str] = []
        self._of = 0
        self._shown = ""
        self._handle: Any = None
        self._context = contextvars.copy_context()
        """Of the cell: reports come from a thread of their own, which would draw in no cell."""

    def __enter__(self) -> Self:
        self._handle = _ipython().display.display(_bundle("", ""), raw=True, display_id=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Leave the lines alone: nothing is at work any more."""
        self._draw([], [])

    @override
    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        self._of = of

    @override
    def foreseen(self, replayed: int, asked: int, *, shared: int, whole: bool) -> None:
        """Draw nothing: the figures of the step say it."""

    @override
    def reported(self, status: RunStatus) -> None:
        running = status.running if status.at_work else ()
        doing = {"loading": "reading the dataset", "exporting": "writing the output"}.get(status.state, "")
        bars = [_bar(step, self._of) for step in running] or ([f"<div>{doing}</div>"] if doing else [])
        told = [f"{words.title(step, self._of)}: {', '.join(words.told(step))}" for step in running] or [doing]
        self._draw(bars, told)

    @override
    def ended(self, step: StepStatus) -> None:
        self._line(f"{words.title(step, self._of)}: {', '.join(words.ended(step))}")

    def _line(self, text: str) -> None:
        self._lines = [*self._lines, printable(text)][-MOST_LINES:]

    def _draw(self, bars: list[str], told: list[str]) -> None:
        lines = list(self._lines)
        html = "".join([*(f"<div>{escape(line)}</div>" for line in lines), *bars])
        if html != self._shown:
            self._shown = html
            self._context.run(self._handle.update, _bundle(html, "\n".join(filter(None, [*lines, *told]))), raw=True)


def _bar(step: StepStatus, of: int) -> str:
    percent = min(100, 100 * step.done // max(1, step.samples))
    told = ", ".join(words.told(step))
    return _BAR.format(title=escape(words.title(step, of)), percent=percent, told=escape(told))


def _bundle(html: str, text: str) -> dict[str, str]:
    return {"text/html": html, "text/plain": text}
