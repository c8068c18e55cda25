"""What goes between an isolated process and its parent: JSON, a message on each line."""

from __future__ import annotations

import json
import os
from typing import Any

READY = {"ready": True}
"""What a child says first."""


_TAIL = 2000
"""Bytes of a process's last words that are read."""


def last_words(output: int) -> str:
    """The last line that is not empty of what a process wrote to this descriptor's file; empty if there is none."""
    size = os.fstat(output).st_size
    lines = os.pread(output, _TAIL, max(0, size - _TAIL)).decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def line_of(message: dict[str, Any]) -> bytes:
    """A message as it travels. It is ASCII, so that any text survives, also one that is no proper Unicode."""
    return json.dumps(message).encode("ascii") + b"\n"
