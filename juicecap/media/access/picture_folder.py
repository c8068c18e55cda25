"""A folder of numbered pictures, which is a film where a row names it: which files it holds, in order, and their state.

Nothing in it is opened here. Its files are opened one by one, as every other file (`files.open_file`).
"""

from __future__ import annotations

import mimetypes
import os
import re
from collections import Counter
from hashlib import blake2b
from pathlib import Path

from juicecap.errors import MediaError
from juicecap.file_state import FileState, file_state
from juicecap.media.access.files import lies_inside, outside, refusal
from juicecap.media.rules import DEFAULT_RULES, MediaLimits
from juicecap.sample import display_path

_NUMBER = re.compile(r"[0-9]+")


def is_folder(path: str) -> bool:
    """Whether a path leads to a folder."""
    return os.path.isdir(path)


def pictures_in(folder: str, rules: MediaLimits = DEFAULT_RULES) -> list[str]:
    """The paths of the pictures, by the numbers in their names. Hidden files are passed over.

    Raises:
        MediaError: `NOT_A_FILE` if it is no such folder, and as `open_file`.
        EnvironmentFailure: as `open_file`.
    """
    if not lies_inside(folder, rules):
        raise outside(folder, rules)
    try:
        with os.scandir(folder) as entries:
            found = {entry.name: entry.is_dir() for entry in entries if not entry.name.startswith(".")}
    except OSError as error:
        raise refusal(folder, error) from error
    numbers = {name: _numbers(name) for name in sorted(found)}
    if why := _fault(numbers, [name for name in numbers if found[name]]):
        raise MediaError("NOT_A_FILE", f"{display_path(folder)} is a folder, not a file, and no film either: {why}")
    return [os.path.join(folder, name) for name in sorted(numbers, key=numbers.__getitem__)]


def medium_state(path: str, rules: MediaLimits = DEFAULT_RULES) -> FileState | None:
    """The state of a file, or of a folder with its pictures; None if there is none, or one of them lies outside of `root`."""
    if not lies_inside(path, rules):
        return None
    own = file_state(path)
    if own is None or not is_folder(path):
        return own
    try:
        pictures = pictures_in(path, rules)
    except MediaError:
        return own
    inner = [file_state(each) if lies_inside(each, rules) else None for each in pictures]
    states = [own, *(state for state in inner if state)]
    if len(states) <= len(pictures):
        return None
    names = [Path(each).name for each in pictures]
    return FileState(
        inode=int.from_bytes(blake2b(repr([names, states]).encode("utf-8", "surrogateescape"), digest_size=7).digest()),
        size=sum(state.size for state in states[1:]),
        modified=max(state.modified for state in states),
        changed=max(state.changed for state in states),
    )


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBER.findall(Path(name).stem)))


def _fault(numbers: dict[str, tuple[int, ...]], folders: list[str]) -> str:
    """What keeps files of these names from being one row of pictures."""
    if not numbers:
        return "it holds no pictures"
    if folders:
        return f"it holds the folder {display_path(folders[0])}"
    for name, found in numbers.items():
        if not _may_be_picture(name):
            return f"{display_path(name)} is not a picture"
        if not found:
            return f"{display_path(name)} has no number in its name"
    return _clash(numbers)


def _may_be_picture(name: str) -> bool:
    """Whether a suffix does not speak against it."""
    return (mimetypes.guess_type(name)[0] or "image/").startswith("image/")


def _clash(numbers: dict[str, tuple[int, ...]]) -> str:
    """Two files that cannot both stand in one row."""
    words = {_NUMBER.sub("#", name).lower(): name for name in numbers}
    if len(words) > 1:
        first, second, *_ = sorted(words.values())
        return f"{display_path(first)} and {display_path(second)} differ in more than their numbers"
    most, count = Counter(numbers.values()).most_common(1)[0]
    if count > 1:
        first, second, *_ = (name for name in numbers if numbers[name] == most)
        return f"{display_path(first)} and {display_path(second)} have the same number"
    return ""
