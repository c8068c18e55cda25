"""`log.jsonl`: what a run logs, one flat JSON object per line.

Each has `time`, `level`, `message` and `where` (module and line), and whatever facts were bound to it (`event`, `op`, counts).
It never contains keys of servers or tokens of stores: the value of a variable that holds one, also escaped or in base64, is
replaced by the variable's name. The same holds for the variables that a recipe uses. A traceback has no values of Python's
variables.
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

from juicecap.data.writing.atomic import write_error
from juicecap.hidden import NOTHING, Hidden
from juicecap.plain import open_plain
from juicecap.secrecy import SHORTEST, hidden

if TYPE_CHECKING:
    from loguru import Message


@contextmanager
def logging_to(file: Path, secrets: Iterable[str] = (), values: Hidden = NOTHING) -> Iterator[None]:
    """Append what is logged in the block; a disk that fills up meanwhile is reported by the writes that matter.

    `secrets` are names of environment variables whose values must not appear; `values` takes out others.

    Raises:
        DataError, EnvironmentFailure: the file cannot be written.
    """
    try:
        handle = open_plain(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        stream = os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise write_error(file, error) from error
    keys = {os.environ.get(name, "").strip(): name for name in secrets}
    marks = {key: f"${{{name}}}" for key, name in keys.items() if len(key) >= SHORTEST}

    def write(message: Message) -> None:
        line = json.dumps(values.facts(_without(marks, _facts(message))), ensure_ascii=False)
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


def _without(marks: dict[str, str], facts: Any) -> Any:
    """The same facts with no secret in any of their texts."""
    if isinstance(facts, dict):
        return {_without(marks, key): _without(marks, each) for key, each in facts.items()}
    if isinstance(facts, list | tuple):
        return [_without(marks, each) for each in facts]
    if facts is None or isinstance(facts, bool | int | float):
        return facts
    return hidden(str(facts), *marks, marks=marks)


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
