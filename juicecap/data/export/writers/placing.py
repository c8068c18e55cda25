"""Media of an export in a folder: as links, hard links or copies, each there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from juicecap.data.edits.keeping import keep_copy
from juicecap.data.export.settings import MediaMode
from juicecap.data.export.writers.captioned import Medium, check_there
from juicecap.data.export.writers.job import Job
from juicecap.data.export.writers.memory import Memory, Written, placed_state
from juicecap.data.export.writers.names import Names, suffix_of
from juicecap.data.writing.atomic import write_error
from juicecap.errors import DataError, EnvironmentFailure, UsageError
from juicecap.file_state import file_state
from juicecap.sample import display_path

_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES)

_CUT_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class Place:
    """A medium, what is placed for it, and where."""

    entry: Written
    source: Path
    """The file: of a part of a film the one that was cut."""
    target: Path
    mode: MediaMode
    is_there: bool
    """Whether it is placed already."""
    is_theirs: bool = False
    """Whether something of somebody else is there."""


class Placing:
    """Places for media in a folder, found out before anything is written."""

    def __init__(
        self, folder: Path, mode: MediaMode, memory: Memory, job: Job, names: Names, given_up: Collection[Written] = ()
    ) -> None:
        """`given_up` are entries of the memory whose media are removed before others are placed."""
        self._folder, self._mode, self._memory, self._job, self._names = folder, mode, memory, job, names
        self._given_up = {entry.medium: entry.states for entry in given_up}
        self.places: dict[str, Place] = {}
        """By the paths of the media."""

    def add(self, media: Sequence[tuple[str, Medium]]) -> None:
        """Take media with the names of their samples.

        Raises:
            DataError: one is missing, or cannot be cut.
            UsageError: something of somebody else has its name in the folder.
        """
        new = {medium.path: (name, medium) for name, medium in media if medium.path not in self.places}
        for name, medium in new.values():
            check_there([medium], name, f"media: {self._mode}")
        parts = [medium for _, medium in new.values() if medium.is_part]
        cut: dict[str, Path] = {}
        for start in range(0, len(parts), _CUT_AT_ONCE):
            some = parts[start : start + _CUT_AT_ONCE]
            cut |= dict(zip((each.path for each in some), self._job.tools.cut(some), strict=True))
        for path, (_, medium) in new.items():
            self.places[path] = self._place(medium, cut.get(path))

    def _place(self, medium: Medium, cut: Path | None) -> Place:
        stem = self._names.stem(medium)
        source = cut or Path(os.path.abspath(medium.file))
        target = self._folder / f"{stem}{suffix_of(medium)}"
        mode: MediaMode = "hardlink" if cut and self._mode == "link" else self._mode
        before = self._memory.entries.get(medium.path)
        there, state = placed_state(target), _source_state(source)
        if there in self._given_up.get(target.name, ()):
            there = ""
        own = before is not None and before.medium == target.name and there in before.states
        is_copy = own and before is not None and there.startswith("file") and before.source_state == state
        is_there = bool(there) and (_leads_to(target, source, mode) or (is_copy and mode != "link"))
        if there and not own and not is_there and not self._job.overwrite:
            raise UsageError(
                f"{target} exists and was not written by this export; give another folder, or --overwrite to replace it"
            )
        entry = Written(source=medium.path, stem=stem, medium=target.name, states=(there,) if own else (), source_state=state)
        is_theirs = bool(there) and not own
        return Place(entry=entry, source=source, target=target, mode=mode, is_there=is_there, is_theirs=is_theirs)

    def write(self) -> dict[str, Written]:
        """Place what is not there; returns what is there now, by the paths of the media."""
        return {path: put(place, self._job.owner, self._job.replaced) for path, place in self.places.items()}


def coming(places: Mapping[str, Place]) -> Iterable[Written]:
    """What the memory must know before media are placed."""
    for place in places.values():
        yield replace(place.entry, states=tuple({*place.entry.states, *_states_to_come(place)}))


def put(place: Place, owner: str, replaced: Path) -> Written:
    """Place one medium, unless it is there; what of somebody else it replaces is kept in the folder `replaced`.

    Raises:
        DataError: the file system has no such links, or the folder cannot be written.
        EnvironmentFailure: the disk is full or fails.
    """
    if not place.is_there:
        temporary = place.target.parent / f".juicecap-{owner}-{secrets.token_hex(8)}.tmp"
        try:
            place.target.parent.mkdir(parents=True, exist_ok=True)
            _make(temporary, place)
            if place.is_theirs:
                keep_copy(place.target, replaced)
            temporary.replace(place.target)
        except OSError as error:
            raise _not_placed(place, error) from error
        finally:
            with suppress(OSError):
                temporary.unlink()
    return replace(place.entry, states=(placed_state(place.target),))


def remove_placed(folder: Path, entry: Written) -> bool:
    """Remove a placed medium that is still as the export left it; whether nothing of it is left."""
    path = folder / entry.medium
    state = placed_state(path)
    if state and state in entry.states:
        with suppress(OSError):
            path.unlink()
    return not placed_state(path)


def _make(path: Path, place: Place) -> None:
    if place.mode == "link":
        path.symlink_to(place.source)
    elif place.mode == "hardlink":
        try:
            path.hardlink_to(os.path.realpath(place.source))
        except OSError:
            if place.entry.source == str(place.source):
                raise
            _copy(place.source, path)  # a part that was cut, whose file the run folder keeps
    else:
        _copy(place.source, path)


def _copy(source: Path, path: Path) -> None:
    """Copy a file with its time, by which the copy is known again."""
    shutil.copyfile(source, path)
    times = source.stat()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _leads_to(target: Path, source: Path, mode: MediaMode) -> bool:
    """Whether a link, or a hard link, is what it would be made as."""
    if mode == "link":
        return target.is_symlink() and str(target.readlink()) == str(source)
    return mode == "hardlink" and not target.is_symlink() and target.exists() and target.samefile(source)


def _states_to_come(place: Place) -> list[str]:
    return [f"link {place.source}" if place.mode == "link" else placed_state(place.source.resolve())]


def _source_state(source: Path) -> str:
    state = file_state(str(source))
    return f"{state.inode} {state.size} {state.modified}" if state else ""


def _not_placed(place: Place, error: OSError) -> DataError | EnvironmentFailure:
    if place.mode in ("link", "hardlink") and error.errno in _NO_LINKS:
        kind = "a link" if place.mode == "link" else "a hard link"
        others = "hardlink or copy" if place.mode == "link" else "link or copy"
        return DataError(
            f"{place.target} cannot be {kind} to {display_path(str(place.source))}: {error.strerror}. Set media to {others}."
        )
    return write_error(place.target, error)
