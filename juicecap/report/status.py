"""The status of a run as text: what `juicecap status` prints."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from juicecap.printable import one_line, printable
from juicecap.report import words
from juicecap.runner.reporting.status import RunStatus
from juicecap.vlm.cluster.engine_status import EngineStatus

LONGEST_NAME, LONGEST_PATH, LONGEST_MESSAGE = 200, 1000, 8000
"""Characters that are shown."""

GO_ON = "What is finished is kept; the same command again goes on"

GO_ON_AFTER_FRESH = "What is finished is kept; the same command without --fresh goes on"


def status_text(status: RunStatus, width: int, now: datetime | None = None) -> str:
    """The run, a line or two for each op. Control characters in its file cannot affect the terminal."""
    return printable("\n".join(_lines(status, width, now or datetime.now(UTC))))


def _lines(status: RunStatus, width: int, now: datetime) -> Iterator[str]:
    yield f"{'run':<10}{_shown(status.work_dir)}: {_state(status, now)}"
    yield f"{'recipe':<10}{_shown(status.recipe)}"
    if status.samples is not None:
        yield f"{'in':<10}{words.plural(status.samples, 'sample')}"
    for step in status.steps:
        yield words.cut(words.title(replace(step, op=one_line(step.op, LONGEST_NAME)), status.step_count), width)
        yield from words.wrapped(words.told(step), width, indent="    ")
    if status.at_work:
        for line in words.engines(replace(status, engines=tuple(_named(each) for each in status.engines))):
            yield words.cut(f"    {line}", width)
    if waiting := status.step_count - len(status.steps):
        yield f"{words.plural(waiting, 'op')} not begun{' yet' if status.at_work else ''}"
    if status.exported is not None:
        yield f"{'out':<10}{words.plural(status.exported, 'sample')}, {status.rejected:,} rejected on the way"
        yield f"{'output':<10}{_shown(status.export_path)}"
    if status.message:
        yield status.message if len(status.message) <= LONGEST_MESSAGE else f"{status.message[:LONGEST_MESSAGE]}…"
    if status.state in ("failed", "interrupted", "killed"):
        where = one_line(status.working_directory, LONGEST_PATH)
        how = GO_ON_AFTER_FRESH if status.fresh else GO_ON
        yield f"{how}." if where == _here() else f"{how}, from {where}."


def _named(engine: EngineStatus) -> EngineStatus:
    return replace(engine, node=one_line(engine.node, LONGEST_NAME))


def _state(status: RunStatus, now: datetime) -> str:
    said = (now - datetime.fromisoformat(status.updated)).total_seconds()
    lasted, process = words.duration(status.seconds), f"process {status.pid} on {one_line(status.host, LONGEST_NAME)}"
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
    here = _here()
    relative = os.path.relpath(path, here) if here and path.startswith("/") else path
    return one_line(path if relative.startswith(os.pardir) else relative, LONGEST_PATH)


def _here() -> str:
    """The working directory; empty if it is there no more."""
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        return ""
