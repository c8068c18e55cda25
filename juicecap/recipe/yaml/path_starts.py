"""Where relative paths start, for messages about files that are not there.

Those of a recipe's keys start at the working directory, those of `include` at the folder of the file that names them. Where both
are one folder there is nothing to say.
"""

from __future__ import annotations

import os
from pathlib import Path


def key_start(path: str, recipe_folder: Path) -> str:
    """A hint about a path of a key that does not exist; empty if none fits."""
    said = f"relative paths of a recipe start at the working directory ({_here()})"
    return _hint(path, _here(), recipe_folder, said, "the recipe's folder")


def include_start(path: str, folder: Path) -> str:
    """As `key_start`, for a path of `include` in a file in this folder."""
    said = f"paths of include start at the folder of the file that names them ({folder})"
    return _hint(path, str(folder), Path(_here()), said, "the working directory")


def _hint(path: str, start: str, other: Path, said: str, called: str) -> str:
    if (
        Path(path).is_absolute()
        or not _here()
        or os.path.realpath(start) == os.path.realpath(other)
        or os.path.exists(os.path.join(start, path))
    ):
        return ""
    there = other / path
    if os.path.exists(there):
        return f"{said}; from {called} it exists: did you mean {os.path.relpath(there, start)!r}?"
    return said


def _here() -> str:
    """The working directory; empty if it is there no more."""
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        return ""
