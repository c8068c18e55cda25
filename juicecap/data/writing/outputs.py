"""Outputs that a verb takes or makes: a new file, or one that the verb itself wrote before, and nothing else, ever.

What a verb wrote it knows again by how its files begin. So a path that was mistyped costs nothing: neither a dataset nor a
recipe, a clip, a device or what a link leads to is replaced.
"""

from __future__ import annotations

import os
from pathlib import Path

from juicecap.data.writing.atomic import swap_in, write_error
from juicecap.errors import DataError, UsageError
from juicecap.plain import kind_at, read_beginning


def output_file(path: Path, beginning: bytes) -> Path:
    """The file that may be written for an output at `path`: `path` itself, or what a link there leads to.

    Raises:
        UsageError: something stands there that does not begin with `beginning`, that is no file, or a link that leads nowhere.
        DataError: its folder is not there, or it cannot be looked at.
    """
    try:
        if not path.absolute().parent.is_dir():
            raise DataError(f"{path} cannot be written: there is no folder {path.parent}")
        if kind_at(path) is None:
            return path
        kind = kind_at(path, follow=True)
        if kind is None:
            raise UsageError(f"{path} is a link that leads nowhere; give the path of a new file")
        if kind:
            raise UsageError(f"{path} is {kind}; give the path of a new file")
        target = Path(os.path.realpath(path))
        if not read_beginning(target, len(beginning)) == beginning:
            raise UsageError(f"{path} exists and is not what juicecap writes there; give the path of a new file")
        return target
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error


def write_output(path: Path, beginning: bytes, content: bytes, owner: str = "") -> None:
    """Write a file that begins with `beginning` in place of none, or of one that begins so; it is there whole or not at all.

    Raises:
        UsageError: as `output_file`.
        DataError, EnvironmentFailure: it cannot be written.
    """
    swap_in(output_file(path, beginning), content, owner)


def write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet.

    Raises:
        UsageError: something has that name.
        DataError, EnvironmentFailure: it cannot be written; then there is none.
    """
    try:
        stream = path.open("xb")  # follows no link
    except FileExistsError as error:
        raise UsageError(f"{path} exists, and nothing is overwritten") from error
    except OSError as error:
        raise write_error(path, error) from error
    try:
        with stream:
            stream.write(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise write_error(path, error) from error
