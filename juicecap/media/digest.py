"""A digest of a medium's content: the same clip under another name is the same clip, a replaced clip is another one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from juicecap.errors import MediaError
from juicecap.media.access.files import open_file
from juicecap.media.access.picture_folder import is_folder, pictures_in
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.sample import display_path

WHOLE_UP_TO = 64 * 2**20
"""Files up to this many bytes are hashed whole; larger ones by size, modification time and sampled blocks."""

_BLOCK, _BLOCKS = 2**20, 32


def medium_digest(kind: str, path: str, rules: MediaLimits = DEFAULT_RULES) -> str:
    """The `content_digest` of a file; of a video that is a folder one over the names and contents of its pictures, in order.

    Raises:
        MediaError: as `content_digest` and `pictures_in`.
        EnvironmentFailure: as `open_file`.
    """
    if kind != "video" or not is_folder(path):
        return content_digest(path, rules)
    state = hashlib.blake2b(digest_size=16)
    for picture in pictures_in(path, rules):
        state.update(f"{Path(picture).name}\0{content_digest(picture, rules)}\0".encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def content_digest(path: str, rules: MediaLimits = DEFAULT_RULES) -> str:
    """32 hexadecimal digits of BLAKE2b over the content (see `WHOLE_UP_TO`).

    Raises:
        MediaError: as `open_file`; `MEDIA_CHANGED`: it grows while it is read.
        EnvironmentFailure: as `open_file`.
    """
    state = hashlib.blake2b(digest_size=16)
    try:
        with open_file(path, rules) as fd, open(fd, "rb", closefd=False) as file:
            status = os.fstat(file.fileno())
            if status.st_size <= WHOLE_UP_TO:
                left = status.st_size
                while block := file.read(min(_BLOCK, left + 1)):
                    left -= len(block)
                    if left < 0:  # one that grows for ever would be read for ever
                        raise MediaError("MEDIA_CHANGED", f"{display_path(path)} was changed while it was read", retryable=True)
                    state.update(block)
                return state.hexdigest()
            state.update(f"{status.st_size} {status.st_mtime_ns}".encode())
            for index in range(_BLOCKS):
                file.seek((status.st_size - _BLOCK) * index // (_BLOCKS - 1))
                state.update(file.read(_BLOCK))
    except OSError as error:
        raise MediaError("UNREADABLE", f"{display_path(path)} cannot be read ({error.strerror})", retryable=True) from error
    return state.hexdigest()
