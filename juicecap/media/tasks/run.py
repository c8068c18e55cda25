"""Runs a task in a worker: finds its function, and makes sure that what it returns is JSON."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from juicecap.errors import MediaError
from juicecap.media.tasks.medium import Medium
from juicecap.sample import display_path, short_repr

MOST_BYTES = 2**24
"""Bytes of a value as JSON."""


def run_task(function: str, medium: Medium, params: Mapping[str, Any]) -> Any:
    """The value of a task.

    Raises:
        MediaError: `BAD_MEASUREMENT`: it is no JSON, or too large; and what the task raises.
    """
    value = _function(function)(medium, **params)
    if target := params.get("target"):
        _flush(target)
    name = f"{display_path(medium.path)}: {function.rpartition(':')[2]}"
    try:
        size = len(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise MediaError("BAD_MEASUREMENT", f"{name} returns {short_repr(value)}, which is no JSON value") from None
    if size > MOST_BYTES:
        raise MediaError("BAD_MEASUREMENT", f"{name} returns {size:,} bytes of JSON, more than {MOST_BYTES:,}")
    return value


def _flush(path: str) -> None:
    """Put a file on disk: a task's process waits for that, and not the one that waits for all tasks."""
    with Path(path).open("rb") as file:
        os.fsync(file.fileno())


@functools.cache
def _function(place: str) -> Callable[..., Any]:
    module, _, name = place.rpartition(":")
    found: Callable[..., Any] = getattr(_loaded(module) if module.endswith(".py") else importlib.import_module(module), name)
    return found


def _loaded(file: str) -> Any:
    """The module in a file, which is loaded once in each worker."""
    spec = importlib.util.spec_from_file_location("juicecap_task", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
