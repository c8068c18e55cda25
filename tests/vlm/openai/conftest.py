"""The scripted server, for the tests of this folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from scripted_server import ScriptedServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A scripted server, whose key is set."""
    from scripted_server import KEY, KEY_NAME, ScriptedServer

    monkeypatch.setenv(KEY_NAME, KEY)
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


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
