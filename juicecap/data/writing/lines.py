"""JSON lines: one record per line, written so that the file is there whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from juicecap.data.writing.atomic import replacing

_LINE_ENDS = {ord(letter): f"\\u{ord(letter):04x}" for letter in "\x85\u2028\u2029"}
"""Beyond ASCII what `str.splitlines` cuts at, as JSON escapes it; it stands in texts only."""


def json_text(value: Any) -> str:
    """JSON on one line. Dates and times become ISO 8601 text, decimals their digits.

    JSON has no NaN and no infinity: they become null. Characters that some readers take for the end of a line are escaped.

    Raises:
        TypeError: JSON has no such value.
    """
    return _dumped(value, _plain)


def write_lines(path: Path, records: Iterable[Mapping[str, Any]], *, through_links: bool = True) -> int:
    """Write records as UTF-8 JSON lines in place of whatever was at `path`; returns how many.

    A value that JSON does not have, such as bytes, is written as Python shows it. `through_links` as for `atomic.replacing`.

    Raises:
        DataError: the file cannot be written there.
        EnvironmentFailure: the disk is full.
    """
    count = 0
    with replacing(path, through_links=through_links) as stream:
        for record in records:
            line = _dumped(record, _plain_or_shown)
            stream.write(line.encode("utf-8", "backslashreplace") + b"\n")
            count += 1
    return count


def _dumped(value: Any, default: Callable[[object], str]) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=default)
    except ValueError as error:
        if "Out of range" not in str(error):  # such as a value that holds itself
            raise
        text = json.dumps(_finite(value), ensure_ascii=False, default=default)
    return text if text.isascii() else text.translate(_LINE_ENDS)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _plain(value: object) -> str:
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal | dt.timedelta):
        return str(value)
    raise TypeError(f"JSON has no {type(value).__name__}")


def _plain_or_shown(value: object) -> str:
    try:
        return _plain(value)
    except TypeError:
        return repr(value)
