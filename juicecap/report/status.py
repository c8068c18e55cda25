"""How a run stands, in words: what `juicecap status` prints."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

from juicecap.printable import printable
from juicecap.report import words
from juicecap.runner.status import RunStatus

GO_ON = "What is finished is kept; the same command again goes on"


def status_text(status: RunStatus, width: int, now: datetime | None = None) -> str:
    """The run, a line or two for each op."""
    return "\n".join(_lines(status, width, now or datetime.now(UTC)))


def _lines(status: RunStatus, width: int, now: datetime) -> Iterator[str]:
    yield f"{'run':<10}{printable(_shown(status.work_dir))}: {_state(status, now)}"
    yield f"{'recipe':<10}{printable(_shown(status.recipe))}"
    if status.samples is not None:
        yield f"{'in':<10}{words.plural(status.samples, 'sample')}"
    for step in status.steps:
        yield words.cut(words.title(step, status.step_count), width)
        yield from words.wrapped(words.told(step), width, indent="    ")
    if waiting := status.step_count - len(status.steps):
        yield f"{words.plural(waiting, 'op')} not begun{' yet' if status.at_work else ''}"
    if status.exported is not None:
        yield f"{'out':<10}{words.plural(status.exported, 'sample')}, {status.rejected:,} rejected on the way"
        yield f"{'output':<10}{printable(_shown(status.export_path))}"
    if status.message:
        yield printable(status.message)
    if status.state in ("failed", "interrupted", "killed"):
        where = "" if status.working_directory == os.getcwd() else f", from {printable(status.working_directory)}"  # noqa: PTH109
        yield f"{GO_ON}{where}."


def _state(status: RunStatus, now: datetime) -> str:
    said = (now - datetime.fromisoformat(status.updated)).total_seconds()
    lasted, process = words.duration(status.seconds), f"process {status.pid} on {printable(status.host)}"
    if status.at_work:
        doing = {"loading": "reading the dataset", "running": "at work", "exporting": "writing the output"}[status.state]
        return f"{doing} for {lasted}, {process}"
    ago = f"{words.duration(max(0.0, said))} ago"
    if status.state == "killed":
        return f"killed {ago}, after {lasted}: {process} is gone and has not said why"
    ended = f"{status.state} {ago}, after {lasted}"
    return f"{ended}, with exit code {status.exit_code}" if status.exit_code else ended


def _shown(path: str) -> str:
    """The path as it would be typed here, if it is below the working directory."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative
