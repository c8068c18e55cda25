"""The progress of a run, for people: a bar and figures on a terminal, plain lines elsewhere, and silence with `--quiet`.

Everything goes to stderr, so that stdout holds the summary alone. The run's reporter calls the display twice a second: a display
has no thread of its own.
"""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text
from typing_extensions import override

from juicecap.cli.progress.warnings import Warnings
from juicecap.printable import printable
from juicecap.report import words
from juicecap.runner import Progress, RunStatus, StepStatus

WIDEST = 100
"""Columns of a terminal that are used at most."""

LONGEST_BAR, SHORTEST_BAR = 40, 10
"""Columns."""

FIRST_LINE, LAST_LINE = 10.0, 300.0
"""Seconds between two plain lines: at first the former, then a tenth of the time that the step has taken, at most the latter."""


class _Console(Console):
    """Goes on in silence if nobody reads any more: a closed pipe must not end a run."""

    def on_broken_pipe(self) -> None:
        """Print nothing more; rich would exit."""
        self.quiet = True


def display(*, quiet: bool = False) -> QuietProgress:
    """The display that fits what stderr is connected to."""
    console = _Console(stderr=True, highlight=False, soft_wrap=True)
    if quiet:
        return QuietProgress(console)
    return LiveProgress(console) if console.is_terminal and not console.is_dumb_terminal else PlainProgress(console)


class QuietProgress(Progress):
    """A `runner.Progress` that shows warnings alone; a context manager for the time of the run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._of = 0
        self._name = ""
        self.warnings = Warnings(self.line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Do nothing: nothing is drawn."""

    def line(self, text: str, style: str = "") -> None:
        """Print a line; above what is drawn, if anything is."""
        with suppress(OSError):  # a full disk behind a redirection
            self._console.print(Text(printable(text.rstrip("\n")), style=style))

    @override
    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        del samples, finished
        self._name, self._of = f"[{number}/{of}] {op}", of

    @override
    def foreseen(self, replayed: int, asked: int, *, shared: int, whole: bool) -> None:
        """Print nothing."""

    @override
    def reported(self, status: RunStatus) -> None:
        """Print nothing."""

    @override
    def ended(self, step: StepStatus) -> None:
        """Print nothing."""


class PlainProgress(QuietProgress):
    """Plain lines, for a file or a terminal that cannot move its cursor; the longer a step takes, the fewer."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._began = self._due = 0.0

    @override
    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        super().started(op, number, of, samples, finished=finished)
        self._began = time.monotonic()
        self._due = self._began + FIRST_LINE

    @override
    def foreseen(self, replayed: int, asked: int, *, shared: int, whole: bool) -> None:
        same = f", {shared:,} equal ones are shared" if shared else ""
        if whole:
            self.line(f"{self._name}: {replayed:,} answers are replayed from the journal, {asked:,} are to be asked{same}")
        else:
            first = f"of the first {replayed + asked + shared:,} answers"
            self.line(f"{self._name}: {first} {replayed:,} are replayed from the journal{same}")

    @override
    def reported(self, status: RunStatus) -> None:
        now = time.monotonic()
        if status.running and now >= self._due:
            self._due = now + min(max(FIRST_LINE, (now - self._began) / 10), LAST_LINE)
            for step in status.running:
                self.line(f"{words.title(step, self._of)}: {', '.join(words.told(step))}")

    @override
    def ended(self, step: StepStatus) -> None:
        self.line(f"{words.title(step, self._of)}: {', '.join(words.ended(step))}")


class LiveProgress(PlainProgress):
    """A bar and figures for the op that the others wait for, a line for each other one at work; finished ops stay above."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._ascii = not (console.encoding or "").lower().startswith("utf")

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove what is drawn."""
        with suppress(OSError):
            self._live.stop()

    @override
    def reported(self, status: RunStatus) -> None:
        with suppress(OSError):
            self._live.update(Group(*self._drawn(status)), refresh=True)

    @override
    def ended(self, step: StepStatus) -> None:
        with suppress(OSError):
            self._live.update(Group())
        first, *more = [words.title(step, self._of), *words.wrapped(words.ended(step), self._width, indent="  ")]
        self.line(words.cut(first, self._width), style="bold")
        for line in more:
            self.line(line, style="dim")

    @property
    def _width(self) -> int:
        return min(self._console.width, WIDEST)

    def _drawn(self, status: RunStatus) -> list[Text]:
        if not status.at_work:
            return []
        narrowest = status.narrowest
        if narrowest is None:
            doing = {"loading": "reading the dataset", "exporting": "writing the output"}.get(status.state, "")
            return [Text(words.cut(doing, self._width), style="dim")] if doing else []
        lines: list[Text] = []
        for step in status.running:
            if step is narrowest:
                lines += self._whole(step)
            else:
                line = "  ".join([words.title(step, self._of), *words.progress(step)])
                lines.append(Text(words.cut(line, self._width), style="dim"))
        lines += [Text(words.cut(f"  {line}", self._width), style="dim") for line in words.engines(status)]
        return lines[-max(1, self._console.height - 1) :]

    def _whole(self, step: StepStatus) -> list[Text]:
        """The step that the others wait for, with all its figures."""
        width = self._width
        lines = [Text(words.cut(words.title(step, self._of), width), style="bold")]
        lines += self._bar(step, width)
        lines += [Text(line, style="dim") for line in words.wrapped(words.engine(step), width, indent="  ")]
        return lines + [
            Text(line, style="red" if step.rejected else "dim") for line in words.wrapped(words.losses(step), width, indent="  ")
        ]

    def _bar(self, step: StepStatus, width: int) -> list[Text]:
        """The bar, and beside it (or below, where the terminal is narrow) how far the step has come."""
        beside = "  ".join(words.progress(step))
        room = width - len(beside) - 4
        columns = max(0, min(LONGEST_BAR, room if room >= SHORTEST_BAR else width - 2))
        full = min(columns, columns * step.done // max(1, step.samples))
        done, rest = ("#", ".") if self._ascii else ("━", "─")
        bar = Text("  "[: width - columns]).append(done * full, style="green").append(rest * (columns - full), style="dim")
        if room >= SHORTEST_BAR:
            return [bar.append(f"  {beside}")]
        return [bar, *(Text(line) for line in words.wrapped(words.progress(step), width, indent="  "))]
