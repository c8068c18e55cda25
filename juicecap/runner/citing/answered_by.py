"""Whose answers a step used, noted beside its table (`NN-OP-HASH.engines.json`): a later run that takes the table knows it too.

The note says nothing that the table depends on. A table without one is of an earlier version.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from juicecap.data.writing.atomic import replacing
from juicecap.plain import read_plain
from juicecap.recipe.work_dir import LARGEST
from juicecap.vlm.base import canonical_json
from juicecap.vlm.pipeline.resources.engine_stats import AnsweredBy


def note(table: Path, answered_by: AnsweredBy) -> None:
    """Note whose answers the table at this path has.

    Raises:
        DataError, EnvironmentFailure: it cannot be written.
    """
    if answered_by:
        with replacing(_beside(table), through_links=False) as stream:
            stream.write(json.dumps(facts_of(answered_by), indent=1).encode("utf-8", "backslashreplace") + b"\n")


def noted(table: Path) -> AnsweredBy:
    """What was noted; nothing if nothing was, or if it cannot be read."""
    try:
        content = json.loads(read_plain(_beside(table), LARGEST))
        return {(_engine(each["engine"]), str(each["revision"])): int(each["answers"]) for each in content}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def together(several: Iterable[AnsweredBy]) -> AnsweredBy:
    """Several counts as one."""
    total: Counter[tuple[str, str]] = Counter()
    for each in several:
        total.update(each)
    return total


def facts_of(answered_by: AnsweredBy) -> list[dict[str, Any]]:
    """The engines as plain data, the one with the most answers first; `engine` is null where nothing was noted of it."""
    ordered = sorted(answered_by.items(), key=lambda item: (-item[1], item[0]))
    return [
        {"answers": count, "revision": revision, "engine": json.loads(engine) if engine else None}
        for (engine, revision), count in ordered
    ]


def _engine(facts: Any) -> str:
    return canonical_json(facts) if isinstance(facts, dict) else ""


def _beside(table: Path) -> Path:
    return table.with_suffix(".engines.json")
