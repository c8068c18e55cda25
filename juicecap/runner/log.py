"""`log.jsonl`: what a run logs, one flat JSON object per line.

Each has `time`, `level`, `message` and `where` (module and line), and whatever facts were bound to it (`event`, `op`, counts).
Keys of servers never stand in it: wherever the value of a variable that holds one appears, its name stands instead, and so it is
with the variables that a recipe uses. Values of Python's variables in a traceback are not written.
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
from juicecap.hidden import NOTHING, Hidden

if TYPE_CHECKING:
    from loguru import Message


@contextmanager
def logging_to(file: Path, secrets: Iterable[str] = (), values: Hidden = NOTHING) -> Iterator[None]:
    """Append what is logged in the block; a disk that is full by then is told where it matters.

    `secrets` are names of environment variables whose values must not appear; `values` takes out others.

    Raises:
        DataError, EnvironmentFailure: the file cannot be written.
    """
    try:
        stream = file.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise write_error(file, error) from error
    hidden = Hidden({**values.names, **{os.environ.get(name, ""): f"${{{name}}}" for name in secrets}})

    def write(message: Message) -> None:
        line = json.dumps(hidden.facts(_facts(message)), ensure_ascii=False, default=lambda each: hidden.text(str(each)))
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
