"""What is shown of an engine of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EngineState = Literal["starting", "ready", "gone"]


@dataclass(frozen=True, kw_only=True)
class EngineStatus:
    """An engine of a cluster."""

    node: str
    """Where it is; empty while it waits for room."""
    state: EngineState
    in_flight: int = 0
    """Requests that it works on."""
    answered: int = 0
    """Requests that it has answered."""
