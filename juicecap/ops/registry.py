"""Ops that juicecap does not bring: from a user's file or an installed package.

In a file named under `custom_operator_paths`:

    from dataclasses import dataclass
    from juicecap.ops.base import Mapper
    from juicecap.ops.registry import register

    @register
    @dataclass(frozen=True, kw_only=True)
    class ShoutMapper(Mapper):
        ...

An installed package offers its ops as entry points of the group `juicecap.ops`: `shout_mapper = "its_module:ShoutMapper"`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
import re
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from juicecap.errors import DataError, EnvironmentFailure

if TYPE_CHECKING:
    from juicecap.ops.base import Op

GROUP = "juicecap.ops"
_registered: dict[str, type[Op]] = {}
T = TypeVar("T", bound="type[Op]")


def register(op: T) -> T:
    """Make an op known by the snake-case form of its class name: `ShoutMapper` becomes `shout_mapper`.

    Registering another class under a known name replaces it, so that a file can be loaded again.
    """
    from juicecap.ops.base import Op

    if not (isinstance(op, type) and issubclass(op, Op)):
        raise DataError(f"{op!r} is registered as an op but is none: derive it from Mapper, Filter, Deduplicator or Selector")
    op.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", op.__name__).lower()
    _registered[op.name] = op
    return op


def registered() -> Mapping[str, type[Op]]:
    """Ops that were registered, by name."""
    return _registered


@functools.cache
def entry_points() -> Mapping[str, importlib.metadata.EntryPoint]:
    """Ops that installed packages offer, by name; none of them is imported yet."""
    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}


def load_entry_point(name: str) -> type[Op] | None:
    """Import the op that an installed package offers under `name`, if one does.

    Raises:
        EnvironmentFailure: the package cannot be imported.
    """
    point = entry_points().get(name)
    if point is None:
        return None
    try:
        op: type[Op] = point.load()
    except Exception as error:  # foreign code may raise anything
        raise EnvironmentFailure(f"the op {name} ({point.value}) cannot be imported: {type(error).__name__}: {error}") from error
    op.name = name
    return op


def load_files(paths: list[str]) -> None:
    """Run the files (or the `.py` files of the folders) of `custom_operator_paths`, which register their ops.

    Raises:
        DataError: a path does not exist, or its code fails.
    """
    for path in map(Path, paths):
        files = sorted(path.glob("*.py")) if path.is_dir() else [path]
        for file in files:
            _run(file)


def _run(file: Path) -> None:
    if not file.is_file():
        raise DataError(f"custom_operator_paths: {file} does not exist")
    if file.suffix != ".py":
        raise DataError(f"custom_operator_paths: {file} is not a Python file")
    place = hashlib.blake2b(str(file.resolve()).encode(), digest_size=4).hexdigest()
    name = f"juicecap_custom_{file.stem}_{place}"  # two folders may each have a file of this name
    module = types.ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    try:
        # Not by the import system: its compiled files tell versions of one size apart by the second only.
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)  # noqa: S102  (the user named the file to be run)
    except Exception as error:  # foreign code may raise anything
        del sys.modules[name]
        raise DataError(f"custom_operator_paths: {file} fails with {type(error).__name__}: {error}") from error


def source_of(op: type[Op]) -> str:
    """Source text of a user's op (part of its fingerprint: an edited op is run again); empty for built-in ones."""
    if op.__module__.startswith("juicecap."):
        return ""
    try:
        return Path(inspect.getfile(op)).read_text(encoding="utf-8")
    except (OSError, TypeError):
        return ""
