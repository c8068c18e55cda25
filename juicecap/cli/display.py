"""A run on the terminal: a bar per op with samples per second and rejections; plain lines where there is no terminal."""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Rate(ProgressColumn):
    """Samples per second."""

    def render(self, task: Task) -> Text:
        """See rich's `ProgressColumn`."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} samples/s" if speed else "", style="dim")


class _Console(Console):
    """Goes on in silence if nobody reads any more: a run does not end because its progress is not watched."""

    def on_broken_pipe(self) -> None:
        """See rich's `Console`."""
        self.quiet = True


class LiveProgress:
    """A `runner.Progress` for people. Everything goes to stderr, so that stdout holds the summary alone."""

    def __init__(self) -> None:
        self._console = _Console(stderr=True, highlight=False, soft_wrap=True)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            TextColumn("[red]{task.fields[rejected]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bars.add_task("", total=0, rejected="", visible=False)
        self._rejected = self._samples = 0
        self._name, self._began = "", 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def write(self, message: str) -> None:
        """Print a log message above the bars."""
        with suppress(OSError):  # a full disk behind a redirection
            self._console.print(message.rstrip("\n"), markup=False)

    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        """See `runner.Progress`."""
        self._name, self._began, self._rejected, self._samples = f"[{number}/{of}] {op}", time.monotonic(), 0, 0
        if finished:
            self.write(f"{self._name}: done before")
            return
        description = self._name.replace("[", r"\[")
        self._task = self._bars.add_task(description, total=samples, rejected="")

    def foreseen(self, replayed: int, asked: int, *, whole: bool) -> None:
        """See `runner.Progress`."""
        if whole:
            self.write(f"{self._name}: {replayed:,} answers are replayed from the journal, {asked:,} are to be asked")
        else:
            self.write(f"{self._name}: of the first {replayed + asked:,} answers {replayed:,} are replayed from the journal")

    def advanced(self, samples: int, rejected: int) -> None:
        """See `runner.Progress`."""
        self._rejected += rejected
        self._samples += samples
        words = f"{self._rejected} rejected" if self._rejected else ""
        self._bars.update(self._task, advance=samples, rejected=words)

    def ended(self) -> None:
        """See `runner.Progress`."""
        if self._samples and not self._console.is_terminal:
            seconds = max(time.monotonic() - self._began, 1e-9)
            rejected = f", {self._rejected} rejected" if self._rejected else ""
            self.write(f"{self._name}: {self._samples} samples, {self._samples / seconds:.1f} samples/s{rejected}")
