"""What goes between an isolated process and its parent: JSON, a message on each line."""

from __future__ import annotations

import json
from typing import Any

READY = {"ready": True}
"""What a child says first."""


def line_of(message: dict[str, Any]) -> bytes:
    """A message as it travels. It is ASCII, so that any text survives, also one that is no proper Unicode."""
    return json.dumps(message).encode("ascii") + b"\n"
