"""A digest of a medium's content: the same clip under another name is the same clip, a replaced clip is another one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from juicecap.errors import MediaError
from juicecap.file_blocks import WHOLE_UP_TO, blocks
from juicecap.media.access.files import open_file
from juicecap.media.access.picture_folder import is_folder, pictures_in
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.sample import display_path

_BLOCK, _BLOCKS = 2**20, 32
"""Length and number of the blocks of a large file: 32 MiB are read of it. An hour of film has one for every two minutes."""


def is_sampled(size: int) -> bool:
    """Whether a file, or a folder of files, of this size may have a digest that is not over all of it."""
    return size > WHOLE_UP_TO


def medium_digest(kind: str, path: str, rules: MediaLimits = DEFAULT_RULES, *, legacy: bool = False) -> str:
    """The `content_digest` of a file; of a video that is a folder one over the names and contents of its pictures, in order.

    Raises:
        MediaError: as `content_digest` and `pictures_in`.
        EnvironmentFailure: as `open_file`.
    """
    if kind != "video" or not is_folder(path):
        return content_digest(path, rules, legacy=legacy)
    state = hashlib.blake2b(digest_size=16)
    for picture in pictures_in(path, rules):
        state.update(
            f"{Path(picture).name}\0{content_digest(picture, rules, legacy=legacy)}\0".encode("utf-8", "surrogateescape")
        )
    return state.hexdigest()


def content_digest(path: str, rules: MediaLimits = DEFAULT_RULES, *, legacy: bool = False) -> str:
    """32 hexadecimal digits of BLAKE2b over the content; of a large file over its size and blocks of it (`file_blocks`).

    `legacy` is for journals of before (`Journal.has_legacy_keys`): then the modification time of a large file counts, too.

    Raises:
        MediaError: as `open_file`; `MEDIA_CHANGED`: it grows while it is read.
        EnvironmentFailure: as `open_file`.
    """
    state = hashlib.blake2b(digest_size=16)
    try:
        with open_file(path, rules) as fd, open(fd, "rb", closefd=False) as file:
            status = os.fstat(file.fileno())
            if not is_sampled(status.st_size):
                left = status.st_size
                while block := file.read(min(_BLOCK, left + 1)):
                    left -= len(block)
                    if left < 0:  # one that grows for ever would be read for ever
                        raise MediaError("MEDIA_CHANGED", f"{display_path(path)} was changed while it was read", retryable=True)
                    state.update(block)
                return state.hexdigest()
            state.update(f"{status.st_size} {status.st_mtime_ns if legacy else 'blocks'}".encode())
            for block in blocks(file.fileno(), status.st_size, length=_BLOCK, number=_BLOCKS):
                state.update(block)
    except OSError as error:
        raise MediaError("UNREADABLE", f"{display_path(path)} cannot be read ({error.strerror})", retryable=True) from error
    return state.hexdigest()
