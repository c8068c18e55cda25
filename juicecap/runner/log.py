"""`log.jsonl`: what a run logs, one flat JSON object per line.

Each has `time`, `level`, `message` and `where` (module and line), and whatever facts were bound to it (`event`, `op`, counts).
Keys of servers never stand in it: wherever the value of a variable that holds one appears, its name stands instead. Values of
variables in a traceback are not written.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from juicecap.data.atomic import write_error
from juicecap.plain import open_plain

if TYPE_CHECKING:
    from loguru import Message

SHORTEST_KEY = 8
"""Characters: what is shorter is no key, and may be a part of any word."""


@contextmanager
def logging_to(file: Path, secrets: Iterable[str] = ()) -> Iterator[None]:
    """Append what is logged in the block; a disk that is full by then is told where it matters.

    `secrets` are names of environment variables whose values must not appear.

    Raises:
        DataError, EnvironmentFailure: the file cannot be written.
    """
    try:
        handle = open_plain(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        stream = os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise write_error(file, error) from error
    values = {os.environ.get(name, ""): name for name in secrets}
    hidden = {value: f"${{{name}}}" for value, name in values.items() if len(value) >= SHORTEST_KEY}

    def write(message: Message) -> None:
        line = json.dumps(_without(hidden, _facts(message)), ensure_ascii=False, default=str)
        with suppress(OSError):
            stream.write(f"{line}\n")
            stream.flush()

    sink = logger.add(write, level="INFO", format="{message}")
    try:
        yield
    finally:
        logger.remove(sink)
        with suppress(OSError):
            stream.close()


def _without(hidden: dict[str, str], facts: Any) -> Any:
    """The same facts with no secret in any of their texts."""
    if isinstance(facts, str):
        for value, name in hidden.items():
            facts = facts.replace(value, name)
        return facts
    if isinstance(facts, dict):
        return {key: _without(hidden, each) for key, each in facts.items()}
    return [_without(hidden, each) for each in facts] if isinstance(facts, list | tuple) else facts


def _facts(message: Message) -> dict[str, Any]:
    record = message.record
    facts: dict[str, Any] = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "message": record["message"],
        "where": f"{record['name']}:{record['line']}",
    }
    if error := record["exception"]:
        facts["traceback"] = "".join(traceback.format_exception(error.type, error.value, error.traceback))
    return {**record["extra"], **facts}
