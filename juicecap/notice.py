"""Warnings that are logged once, not once for each of a million samples."""

from __future__ import annotations

from collections import Counter

from loguru import logger

FEW = 20
"""Messages of one kind that are logged; then one that there are more."""

_said: set[str] = set()
_kinds: Counter[str] = Counter()


def say_once(message: str) -> None:
    """Log a warning unless the same words were logged before in this process."""
    if message not in _said:
        _said.add(message)
        logger.warning(message)


def say_first(kind: str, message: str) -> None:
    """As `say_once`, for messages of one kind of which the first says enough."""
    if not _kinds[kind]:
        _kinds[kind] += 1
        say_once(message)


def say_few(kind: str, message: str) -> None:
    """As `say_once`, for messages of one kind that foreign data can make up without end."""
    if message in _said or _kinds[kind] > FEW:
        return
    _kinds[kind] += 1
    say_once(message if _kinds[kind] <= FEW else f"{message} (and there are more such {kind}, which are not named)")
