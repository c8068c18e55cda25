"""What a task is: the name and version of a function that workers run, and what it may cost.

The function gets a `Medium` and plain parameters, and returns a JSON value. It depends on nothing else, so its value is known
by the content of the medium, the task's version, and the parameters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from juicecap.errors import DataError
from juicecap.fragment import WHOLE, Span


@dataclass(frozen=True, kw_only=True)
class Task:
    """A function that measures a medium."""

    name: str
    function: str
    """Where it is: `module:function`, or `file.py:function`."""
    version: int = 1
    """Increase it when the same medium and parameters give another value."""
    source: str = ""
    """A digest of the source, of a task that is not juicecap's: an edited one measures again."""
    known_by: Literal["content", "state"] = "content"
    """What tells media apart: their content, or path, size and times of their files, where reading them would cost more."""
    cost: float = 0.0
    """CPU seconds that it may take for each second of a video, in addition to `decode_seconds`."""
    brief: bool = False
    """Whether it takes milliseconds: a worker gets several at once, so that none waits for a message."""
    long: bool = False
    """Whether it may take minutes: such tasks never hold all workers."""
    writes: str = ""
    """The suffix of the file that it writes, whose path it gets as `target`, and whose size is in its value as `bytes`; empty: it
    writes none."""
    accepts: Callable[[Any], bool] | None = None
    """Whether a value from a journal has the right shape; None: any JSON value does."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A medium that a task measures, and the task's parameters."""

    kind: str
    path: str
    params: Mapping[str, Any]
    pictures: tuple[str, ...] = ()
    span: Span = WHOLE


def task_in_file(path: str | Path, function: str, *, version: int = 1, cost: float = 0.0, long: bool = False) -> Task:
    """The task of a user's op: a function in a Python file, which is loaded by workers alone.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the task {function} cannot be read: {error.strerror}") from error
    digest = hashlib.blake2b(source, digest_size=16).hexdigest()
    place = f"{Path(path).resolve()}:{function}"
    return Task(name=function, function=place, version=version, source=digest, cost=cost, long=long)
