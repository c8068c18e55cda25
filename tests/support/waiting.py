"""Waiting for something that another thread or process does, with a deadline that no load of the machine reaches."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

DEADLINE = 120.0
"""Seconds."""


def until(condition: Callable[[], object], process: subprocess.Popen | None = None) -> None:
    """Wait until the condition holds; fail at the deadline, or when the process that is to bring it about has ended."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if process and process.poll() is not None and not condition():
            raise AssertionError(f"the process has ended: {process.communicate()}")
        assert time.monotonic() < deadline, "the deadline has passed"
        time.sleep(0.02)
