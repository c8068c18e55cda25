"""Starting an engine's process from any thread of any program.

vLLM spawns its processes with `multiprocessing`. This module handles four things about a start. Starts take turns, and after
each one the program's environment, signals and `multiprocessing` are as they were before:

- A spawned process runs the caller's `__main__` again. A script that calls juicecap without an `if __name__ == "__main__"`
  would start itself in there. An engine's process runs `child_main` in its place. Other threads spawn as usual.
- What the process inherits through the environment (which devices it sees, how it logs) is set for the whole program during the
  start. Then it is restored, and what vLLM added is removed: the environment belongs to the program.
- Ctrl-C in a terminal goes to all processes. The run decides what it means, so engines do not see it: the starting thread blocks
  SIGINT, and the new process inherits that.
- The process's output goes to a file (`EngineLog`) for as long as it lives. `EngineLog.cause` finds the cause of a failure there:
  the exception that reaches the parent only reports that there was one.
"""

from __future__ import annotations

import logging
import multiprocessing.spawn
import os
import re
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from juicecap.vlm.backends.vllm import QUIET
from juicecap.vlm.backends.vllm import child_main as child

T = TypeVar("T")

SPAWN = {"VLLM_WORKER_MULTIPROC_METHOD": "spawn"}
"""On a GPU vLLM would fork, and a fork of a program with threads may hang."""

NOTHING: Mapping[str, str] = MappingProxyType({})

_one_at_a_time = threading.Lock()
_CAUSE = re.compile(r"(?:^|[\])] )((?:\w+\.)*\w*(?:Error|Exception): .*\S)")


class EngineLog:
    """The file that an engine's processes write to instead of the terminal."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="juicecap-vllm-", ignore_cleanup_errors=True)
        self.path = Path(self._folder.name) / "engine.log"

    def environment(self) -> dict[str, str]:
        """Variables that make processes write there; nothing if the user has configured how vLLM logs."""
        return {child.LOG: str(self.path), "VLLM_LOGGING_LEVEL": "ERROR"} if QUIET else {}

    def cause(self) -> str:
        """The error that came first, in one line; empty if there is none."""
        text = self.path.read_text(errors="replace") if self.path.exists() else ""
        return next((found[1] for line in text.splitlines() if (found := _CAUSE.search(line))), "")

    def close(self) -> None:
        """Remove the file."""
        self._folder.cleanup()


def started(start: Callable[[], T], variables: Mapping[str, str]) -> T:
    """`start()`, which starts processes that get these environment variables on top of the program's own."""
    with configuring(variables), _without_main(), _without_interrupts():
        return start()


@contextmanager
def configuring(variables: Mapping[str, str] = NOTHING) -> Iterator[None]:
    """A block in which vLLM may change the environment and its logging; both are restored at its end. One at a time."""
    with _one_at_a_time, ExitStack() as stack:
        stack.callback(_hush)
        stack.enter_context(_environment({**SPAWN, **variables}))
        yield


def _hush() -> None:
    """A start configures logging for this process too; the run itself reports the death of an engine."""
    if QUIET:
        logging.getLogger("vllm").handlers = [logging.NullHandler()]


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes that this thread spawns meanwhile run `child_main` instead of the program's `__main__`."""
    real, thread = multiprocessing.spawn.get_preparation_data, threading.get_ident()

    def prepared(name: str) -> dict[str, Any]:
        data: dict[str, Any] = real(name)
        if threading.get_ident() == thread:
            data.pop("init_main_from_path", None)
            data["init_main_from_name"] = child.__name__
        return data

    multiprocessing.spawn.get_preparation_data = prepared
    try:
        yield
    finally:
        multiprocessing.spawn.get_preparation_data = real


@contextmanager
def _without_interrupts() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a new process inherits what its parent's thread blocks
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
