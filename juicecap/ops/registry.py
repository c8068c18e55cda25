"""Ops that are not built in: from a user's file or an installed package.

In a file named under `custom_operator_paths`:

    from dataclasses import dataclass
    from juicecap.ops.base import Mapper
    from juicecap.ops.registry import register

    @register
    @dataclass(frozen=True, kw_only=True)
    class ShoutMapper(Mapper):
        ...

An installed package offers its ops as entry points of the group `juicecap.ops`: `shout_mapper = "its_module:ShoutMapper"`.

Such a file is a program: it is run with all rights of its user, and without a time limit. This module only checks that it does
not replace a built-in op and that its names can be file names, and it reports whatever the file raises.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import importlib.metadata
import inspect
import linecache
import os
import re
import sys
import types
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from juicecap.errors import DataError, EnvironmentFailure
from juicecap.plain import NotPlain, read_beginning

if TYPE_CHECKING:
    from juicecap.ops.base import Op

GROUP = "juicecap.ops"
LONGEST_NAME = 100
"""Bytes that an op's name may have, since it is a part of file names."""

MAX_BYTES = 10_000_000
"""Bytes that a file of ops may have."""

_registered: dict[str, type[Op]] = {}
T = TypeVar("T", bound="type[Op]")


def register(op: T) -> T:
    """Make an op known by the snake-case form of its class name: `ShoutMapper` becomes `shout_mapper`.

    Registering another class under the name of a registered one replaces it, so that a file can be loaded again.

    Raises:
        DataError: it is no op, or its name is that of a built-in one, or cannot be a part of a file's name.
    """
    from juicecap.ops.base import Op
    from juicecap.ops.catalog import BUILTIN

    if not (isinstance(op, type) and issubclass(op, Op)):
        raise DataError(f"{op!r} is registered as an op but is none: derive it from Mapper, Filter, Deduplicator or Selector")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", op.__name__).lower()
    if not _can_name(name):
        raise DataError(
            f"{name[:LONGEST_NAME]!r} cannot be the name of an op: letters, digits and _, {LONGEST_NAME} bytes at most"
        )
    if name in BUILTIN:
        raise DataError(f"{name} is an op that juicecap brings: give the class another name")
    op.name = name
    _registered[name] = op
    return op


def _can_name(name: str) -> bool:
    """Whether an op may have this name: it is a part of file names in run folders."""
    return name.isidentifier() and len(name.encode()) <= LONGEST_NAME


def registered() -> Mapping[str, type[Op]]:
    """Ops that were registered, by name."""
    return _registered


@functools.cache
def entry_points() -> Mapping[str, importlib.metadata.EntryPoint]:
    """Ops that installed packages offer, by name; none of them is imported yet."""
    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP) if _can_name(point.name)}


def load_entry_point(name: str) -> type[Op] | None:
    """Import the op that an installed package offers under `name`, if one does.

    Raises:
        EnvironmentFailure: the package cannot be imported, or what it offers is no op.
    """
    from juicecap.ops.base import Op

    point = entry_points().get(name)
    if point is None:
        return None
    try:
        op = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # foreign code may raise anything, also SystemExit
        raise EnvironmentFailure(f"the op {name} ({point.value}) cannot be imported: {_told(error)}") from error
    if not (isinstance(op, type) and issubclass(op, Op)):
        raise EnvironmentFailure(f"the op {name} ({point.value}) is no op: {op!r:.100}")
    op.name = name
    return op


def load_files(paths: Sequence[str]) -> None:
    """Run the files (or the files of the folders, see `files_of`) of `custom_operator_paths`, which register their ops.

    An empty path names none. What the files print goes to stderr.

    Raises:
        DataError: a path does not exist, or its code fails.
    """
    for path in paths:
        if path.strip():
            for file in files_of(path):
                _run(file)


def files_of(path: str) -> list[Path]:
    """The files that are run for a path: itself, or of a folder all that end in `.py` and do not begin with a dot.

    Raises:
        DataError: the folder cannot be read.
    """
    if not os.path.isdir(path):
        return [Path(path)]
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208  (names are all that is needed)
    except OSError as error:
        raise DataError(f"custom_operator_paths: {path} cannot be read: {error.strerror}") from error
    return [Path(path, name) for name in names if name.endswith(".py") and not name.startswith(".")]


def _run(file: Path) -> None:
    source = _source(file)
    digest = hashlib.blake2b(str(file.resolve()).encode(), digest_size=4).hexdigest()
    name = f"juicecap_custom_{file.stem}_{digest}"  # two folders may each have a file of this name
    module = types.ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module
    before = dict(_registered)
    try:
        # Not by the import system: its compiled files tell versions of one size apart by the second only.
        with redirect_stdout(sys.stderr):  # stdout is what juicecap itself says, perhaps to a program
            exec(compile(source, str(file), "exec"), module.__dict__)  # noqa: S102  (the user named the file to be run)
    except BaseException as error:  # foreign code may raise anything, also SystemExit
        sys.modules.pop(name, None)
        _registered.clear()
        _registered.update(before)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise DataError(f"custom_operator_paths: {file} fails with {_told(error)}") from error


def _source(file: Path) -> bytes:
    try:
        if file.suffix != ".py" and file.exists():
            raise DataError(f"custom_operator_paths: {file} is not a Python file")
        source = read_beginning(file, MAX_BYTES + 1, follow=True)
    except NotPlain as error:
        raise DataError(f"custom_operator_paths: {file} is no regular file") from error
    except OSError as error:
        lacks = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
        what = "does not exist" if lacks else f"cannot be read: {error.strerror}"
        raise DataError(f"custom_operator_paths: {file} {what}") from error
    except ValueError as error:  # a NUL in it
        raise DataError(f"custom_operator_paths: {file} does not exist") from error
    if len(source) > MAX_BYTES:
        raise DataError(f"custom_operator_paths: {file} is larger than {MAX_BYTES:,} bytes; that is no file of ops")
    return source


def _told(error: BaseException) -> str:
    """A foreign exception in words, which may have none."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  (foreign code may raise anything)
        return f"{type(error).__name__}: "


def source_of(op: type[Op]) -> str:
    """Source text of a user's op (part of its fingerprint: an edited op is run again); empty for built-in ones.

    Of an op that was written in a notebook it is the whole cell.
    """
    if op.__module__.startswith("juicecap."):
        return ""
    try:
        return read_beginning(Path(inspect.getfile(op)), MAX_BYTES, follow=True).decode("utf-8", "replace")
    except (OSError, TypeError):
        codes = (each.__code__ for each in vars(op).values() if isinstance(each, types.FunctionType))
        cells = {
            code.co_filename for code in codes if code.co_qualname.startswith(f"{op.__qualname__}.")
        }  # not a dataclass's own
        return "".join(line for cell in sorted(cells) for line in linecache.getlines(cell))
