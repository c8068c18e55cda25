"""Media that lie inside of a dataset (in a shard, in a table) as files of their own, beside the dataset's Arrow file.

Decoders take paths. A folder of such files is named by the fingerprint of its source, so a file that is there with the right
size is the right one, and is not written again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from juicecap.data.table import cached_file
from juicecap.errors import EnvironmentFailure

_SIGNS = (
    (0, b"\x89PNG", ".png"),
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"GIF8", ".gif"),
    (8, b"WEBP", ".webp"),
    (0, b"BM", ".bmp"),
    (4, b"ftyp", ".mp4"),
    (0, b"\x1aE\xdf\xa3", ".mkv"),
    (8, b"AVI ", ".avi"),
    (8, b"WAVE", ".wav"),
    (0, b"fLaC", ".flac"),
)
"""(offset, bytes, suffix) of files whose names are not known."""


def media_folder(cache: Path | None, fingerprint: str) -> Path:
    """Where the media of a source with this fingerprint belong."""
    return cached_file(cache, fingerprint).with_suffix(".media").absolute()


def put(path: Path, size: int, write: Callable[[BinaryIO], object]) -> None:
    """Make sure that there is a file of `size` bytes, which `write` writes.

    Raises:
        EnvironmentFailure: it cannot be written.
    """
    if path.is_file() and path.stat().st_size == size:
        return
    temporary = path.with_name(f".{os.getpid()}.{path.name[-100:]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            write(stream)
        os.utime(temporary, (0, 0))  # of large media the time is a part of the digest: the same whenever they are written
        temporary.replace(path)
    except OSError as error:
        raise EnvironmentFailure(f"{path} cannot be written ({error.strerror or error}); running again resumes") from error
    finally:
        temporary.unlink(missing_ok=True)


def suffix_of(data: bytes) -> str:
    """The suffix of what begins with these bytes; empty if it is not known."""
    return next((suffix for at, sign, suffix in _SIGNS if data[at : at + len(sign)] == sign), "")
