"""`juicecap run --json`: a run as events, one JSON object a line on stdout, for programs. docs/watching.md lists them."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from threading import Lock
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from juicecap.cli.progress.warnings import Warnings
from juicecap.errors import JuicecapError
from juicecap.runner import Progress, RunStatus, StepStatus

BETWEEN = 1.0
"""Seconds between two events `progress`."""


class JsonProgress(Progress):
    """A `runner.Progress` that prints events; a context manager for the time of the run, which ends with the event `end`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._silent = False
        self._due = 0.0
        self._status: RunStatus | None = None
        self.warnings = Warnings(lambda message: self._say("warning", message=message))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Print the event `end`."""
        if error is None and self._status:
            facts = asdict(self._status)
            self._say(
                "end", **{name: facts[name] for name in ("state", "exit_code", "samples", "exported", "seconds", "message")}
            )
            return
        state, code, message = "failed", 70, ""
        if isinstance(error, JuicecapError):
            code, message = error.exit_code, str(error)
        elif isinstance(error, KeyboardInterrupt):
            state, code = "interrupted", 130
        self._say("end", state=state, exit_code=code, message=message)

    @override
    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        self._due = time.monotonic() + BETWEEN
        self._say("step_started", op=op, number=number, of=of, samples=samples, finished_before=finished)

    @override
    def foreseen(self, replayed: int, asked: int, *, shared: int, whole: bool) -> None:
        self._say("foreseen", replayed=replayed, asked=asked, shared=shared, whole=whole)

    @override
    def reported(self, status: RunStatus) -> None:
        self._status = status
        if status.running and time.monotonic() >= self._due:
            self._due = time.monotonic() + BETWEEN
            for step in status.running:
                self._say("progress", **asdict(step))
            if status.engines:
                self._say("engines", engines=[asdict(engine) for engine in status.engines])

    @override
    def ended(self, step: StepStatus) -> None:
        self._say("step_ended", **asdict(step))

    def _say(self, event: str, **facts: Any) -> None:
        line = json.dumps({"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts})
        with self._lock:
            if self._silent:
                return
            try:
                print(line, flush=True)
            except (OSError, ValueError):  # nobody reads any more: the run goes on
                self._silent = True
