"""Things that a user should hear once, not once for each of a million samples."""

from __future__ import annotations

from loguru import logger

_said: set[str] = set()


def say_once(message: str) -> None:
    """Log a warning unless the same words were logged before in this process."""
    if message not in _said:
        _said.add(message)
        logger.warning(message)
