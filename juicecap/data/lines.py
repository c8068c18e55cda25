"""JSON lines: one record per line, written so that the file is there whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from juicecap.data.atomic import replacing


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write records as UTF-8 JSON lines in place of whatever was at `path`; returns how many.

    Raises:
        DataError: the file cannot be written there.
        EnvironmentFailure: the disk is full.
    """
    count = 0
    with replacing(path) as stream:
        for record in records:
            stream.write(json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n")
            count += 1
    return count
