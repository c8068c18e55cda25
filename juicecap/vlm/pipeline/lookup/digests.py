"""Digests of media, computed by threads ahead of the engine, unless they are known.

Reading media is the cost here. A file whose digest is in the journal, and that has not changed since, is not read
(`file_state.py` says when that can be told).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from juicecap.errors import MediaError
from juicecap.file_state import TICK, FileState
from juicecap.media.access.picture_folder import medium_state
from juicecap.media.access.remote import rules_of
from juicecap.media.digest import is_sampled, medium_digest
from juicecap.media.read_otherwise import READING_VERSION, is_known, reading_of
from juicecap.media.rules import MediaLimits
from juicecap.vlm.base import Part
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.store import FileDigest
from juicecap.vlm.pipeline.resources.ref_counted_cache import Lease

READERS = 8
"""Threads that digest files; they wait for disks more than they compute."""

MOST_REMEMBERED = 4096
"""Digests that are kept in memory, for clips that many samples have."""


class OfFiles(Protocol):
    """What an op asks: a request or a measurement."""

    def files(self) -> list[Part]:
        """The files of its media."""


@dataclass(frozen=True)
class Digest:
    """The digest of a medium, and the state of its file when it was taken."""

    digest: str
    state: FileState
    reading: str = ""
    """How the file is read (`media.read_otherwise.reading_of`)."""
    legacy: str = ""
    """The digest as versions before made it, where it is another one and the journal may know it."""


class FileReaders(Protocol):
    """Reads media to tell them apart, near them."""

    async def states(self, paths: Collection[str], rules: MediaLimits) -> dict[str, FileState | None]:
        """The states of these files; None for a file outside the limits."""

    async def digest(self, file: Part, rules: MediaLimits, *, legacy: bool = False) -> Digest:
        """The `medium_digest` of a file, with the state of the file that it belongs to; on demand with the `legacy` one."""

    async def reading(self, path: str, rules: MediaLimits) -> str:
        """The `reading_of` a file."""

    async def unchanged(self, file: Part, digest: Digest) -> bool:
        """Whether the file still is what it was when it was digested."""


class DigestThreads:
    """The threads that read files; all windows share them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="juicecap-digest")

    async def states(self, paths: Collection[str], rules: MediaLimits) -> dict[str, FileState | None]:
        """The states of these files; None for a file outside the limits."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _states, paths, rules)

    async def digest(self, file: Part, rules: MediaLimits, *, legacy: bool = False) -> Digest:
        """See `FileReaders`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(_digest, file, rules, legacy=legacy))

    async def reading(self, path: str, rules: MediaLimits) -> str:
        """The `reading_of` a file."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, reading_of, path, rules)

    async def unchanged(self, file: Part, digest: Digest) -> bool:
        """Whether the file is still in the state in which it was digested."""
        return digest.state == await asyncio.get_running_loop().run_in_executor(self._threads, medium_state, file.value)

    def close(self) -> None:
        """Read no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Digests:
    """Digests of media within the limits: from memory, from the journal, or computed."""

    def __init__(self, readers: FileReaders, rules: MediaLimits, journal: Journal | None) -> None:
        self._readers, self._rules, self._journal = readers, rules, journal
        self._legacy = journal is not None and journal.has_legacy_keys
        self._remembered: dict[str, FileDigest] = {}

    async def recalled(self, asked: Iterable[OfFiles], *, reread: bool = False) -> dict[str, Digest]:
        """The known digests of the files that this is about, without reading a file.

        With `reread`, files whose record cannot be trusted are read.
        """
        files = {file.value: file for each in asked for file in each.files()}
        paths = files.keys()
        if not paths:
            return {}
        states = await self._readers.states(paths, self._rules)
        seen = {path: self._remembered[path] for path in paths if path in self._remembered}
        if self._journal:
            names = {_name(path): path for path in paths if path not in seen and states[path]}
            kept = await asyncio.wrap_future(self._journal.get_file_digests(list(names)))
            seen |= {names[name]: file for name, file in kept.items()}
        digests: dict[str, Digest] = {}
        for path, file in seen.items():
            if (state := states[path]) and state == FileState(*file[1:5]) and state.tells(file.seen) and self._lasts(file):
                digests[path] = Digest(file.digest, state, file.reading, file.legacy)
        await asyncio.gather(*(self._look_at(path, seen[path], digests) for path in digests if not is_known(seen[path].reading)))
        if reread:
            doubtful = [path for path in seen if path not in digests]
            read = await asyncio.gather(*(self._read(files[path]) for path in doubtful), return_exceptions=True)
            digests |= {path: each for path, each in zip(doubtful, read, strict=True) if isinstance(each, Digest)}
        return digests

    async def complete(self, asked: OfFiles, recalled: Mapping[str, Digest], hold: Lease) -> dict[str, Digest]:
        """`recalled`, extended by the digests of its other files, which are read.

        Raises:
            MediaError: one of them cannot be read.
        """
        digests = dict(recalled)
        for file in asked.files():
            if file.value not in digests:
                digests[file.value] = await hold.get(("digest", file, self._rules), partial(self._read, file))
        return digests

    async def declare(self, path: str, digest: str, legacy: str = "") -> None:
        """Know the digest of a file that was written here: it says what the file was made of, and not which bytes came of it.

        `legacy` is the one that versions before would have declared.
        """
        if state := (await self._readers.states([path], self._rules))[path]:
            seen = max(state.modified, state.changed) + TICK + 1  # nobody else has written it
            self._keep(path, FileDigest(_name(path), *state, seen, digest, str(READING_VERSION), legacy))

    async def _read(self, file: Part) -> Digest:
        seen, path = time.time_ns(), file.value
        digest = await self._readers.digest(file, rules_of(path, self._rules), legacy=self._legacy)
        self._keep(path, FileDigest(_name(path), *digest.state, seen, digest.digest, digest.reading, digest.legacy))
        return digest

    def _lasts(self, file: FileDigest) -> bool:
        """Whether a recorded digest is not a legacy one, as versions before recorded it of a large file."""
        return not self._legacy or not is_sampled(file.size) or bool(file.legacy)

    async def _look_at(self, path: str, file: FileDigest, digests: dict[str, Digest]) -> None:
        """Find out how a file is read, of which a journal of before knows the digest alone; one that is gone is not known."""
        try:
            reading = await self._readers.reading(path, rules_of(path, self._rules))
        except MediaError:
            del digests[path]
            return
        digests[path] = replace(digests[path], reading=reading)
        self._keep(path, file._replace(reading=reading))

    def _keep(self, path: str, file: FileDigest) -> None:
        self._remembered[path] = file
        if len(self._remembered) > MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        if self._journal:
            self._journal.append([file])


def _states(paths: Collection[str], rules: MediaLimits) -> dict[str, FileState | None]:
    return {path: medium_state(path, rules) for path in paths}


def _digest(file: Part, rules: MediaLimits, *, legacy: bool) -> Digest:
    state = medium_state(file.value, rules) or FileState(0, 0, 0, 0)  # without a state there is no digest
    digest = medium_digest(file.kind, file.value, rules)
    before = medium_digest(file.kind, file.value, rules, legacy=True) if legacy and is_sampled(state.size) else ""
    return Digest(digest, state, reading_of(file.value, rules), before)


def _name(path: str) -> bytes:
    return os.fsencode(os.path.abspath(path))
