"""Keeping what is about to be replaced."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from juicecap.data.writing.atomic import sync_folder, write_error


def keep_copy(path: Path, home: Path) -> Path | None:
    """Keep a file, or a folder of files, below the folder `home` under its whole path; returns where, None if nothing is there.

    A file keeps its blocks (a hard link) where the file system can do that, since what replaces it is another file.

    Raises:
        DataError, EnvironmentFailure: it cannot be kept.
    """
    real, copy = Path(os.path.realpath(path)), home / Path(os.path.abspath(path)).relative_to("/")
    if not real.exists():
        return None
    try:
        for file in filter(Path.is_file, sorted(real.iterdir())) if real.is_dir() else [real]:
            target = copy / file.name if real.is_dir() else copy
            target.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(file, target)
            sync_folder(target.parent)
    except OSError as error:
        raise write_error(copy, error) from error
    return copy


def _link_or_copy(file: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(file)
    except OSError:
        shutil.copy2(file, target)
        with target.open("rb") as stream:
            os.fsync(stream.fileno())
