"""What is logged, for the tests of this folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def said_anywhere(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Everything that is logged, by whichever library."""
    from loguru import logger

    told: list[str] = []
    caplog.set_level(logging.DEBUG)
    caplog.handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    sink = logger.add(told.append, level="TRACE", format="{message} {extra} {exception}")
    yield told
    logger.remove(sink)
