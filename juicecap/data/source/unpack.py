"""Writes media that are embedded in a dataset (in a shard, in a table) as files, beside the dataset's Arrow file.

Decoders take paths. Such files are put below a folder that is named by the fingerprint of their source, and only
`MediaFolder.put` writes them. No name can lead outside: it is opened part by part from the folder on, and no part may be a link.
What is there already counts only if its bytes are the same; else it is replaced as a whole, by a file under a temporary name.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from juicecap.data.compressed import Allowance
from juicecap.data.table import cached_file
from juicecap.errors import DataError, EnvironmentFailure
from juicecap.signatures import kind_of

_IN_THE_WAY = (errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ENOTEMPTY)
"""What the system says where a name, and not the disk, is to blame."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOUND = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_PIECE = 1 << 20


def media_folder(home: Path | None, fingerprint: str) -> Path:
    """Where the media of a source with this fingerprint belong: in `home`, by default in the cache of `datasets`."""
    return cached_file(home, fingerprint).with_suffix(".media").absolute()


class MediaFolder:
    """A folder of unpacked media, made at first need. A context manager.

    Temporary files lie beside the folder, and have the names that `atomic.remove_leftovers` knows by their `owner`. `allowance`
    counts what is put. With `names_are_foreign` two names that lead to one file (where the file system takes them for the same)
    are an error.
    """

    def __init__(
        self, path: Path, *, owner: str = "", allowance: Allowance | None = None, names_are_foreign: bool = False
    ) -> None:
        self.path = path
        self._owner, self._allowance = owner, allowance
        self._written: set[int] | None = set() if names_are_foreign else None
        self._base = self._last = -1
        self._last_folders: Sequence[str] = ()

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._base = os.open(self.path.parent, _FOLDER)
        except OSError as error:
            raise self._failure("", error) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for fd in (self._last, self._base):
            if fd >= 0:
                os.close(fd)
        self._last = self._base = -1

    def put(self, name: str, size: int, blocks: Iterable[bytes | memoryview]) -> None:
        """Make sure that there is a file of `size` bytes below the folder, and that it holds `blocks`.

        Raises:
            DataError: the name leads elsewhere, or something that is no medium of this name is in its way.
            EnvironmentFailure: it cannot be written, or there is not enough room on the disk.
        """
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if not parts or ".." in parts or "\0" in name or name.startswith("/"):
            raise DataError(f"{name!r} would be unpacked elsewhere than into {self.path}.")
        if self._allowance:
            self._allowance.take(size)
        try:
            folder = self._folder(parts[:-1])
            with _Found(parts[-1], folder, size) as found:
                if self._written is not None and found.inode in self._written:
                    raise DataError(f"{name!r} is the name of another medium, as the file system of {self.path} sees it.")
                inode = self._put(name, parts[-1], folder, size, blocks, found)
        except OSError as error:
            raise self._failure(name, error) from error
        if self._written is not None:
            self._written.add(inode)

    def _put(self, name: str, leaf: str, folder: int, size: int, blocks: Iterable[bytes | memoryview], found: _Found) -> int:
        pieces = iter(blocks)
        for piece in pieces:
            if not found.goes_on_with(piece):
                break
        else:
            if found.inode is not None and found.is_whole(size):
                return found.inode
            piece = b""
        temporary = f".juicecap-{self._owner}-{secrets.token_hex(8)}.tmp"
        self._check_room(name, size)
        with open(temporary, "wb", opener=lambda path, _: os.open(path, _NEW, 0o666, dir_fd=self._base)) as stream:
            try:
                found.copy(stream)
                stream.write(piece)
                stream.writelines(pieces)
                stream.flush()
                os.utime(stream.fileno(), (0, 0))  # a part of the digest of large media: the same whenever they are written
                os.replace(temporary, leaf, src_dir_fd=self._base, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=self._base)
                raise
            return os.fstat(stream.fileno()).st_ino

    def _folder(self, folders: Sequence[str]) -> int:
        """The descriptor of a folder below this one, which is made if missing; the last one stays open."""
        if self._last >= 0:
            if self._last_folders == folders:
                return self._last
            os.close(self._last)
            self._last = -1
        fd = os.dup(self._base)
        for part in (self.path.name, *folders):
            try:
                inner = _opened(part, fd)
            finally:
                os.close(fd)
            fd = inner
        self._last, self._last_folders = fd, folders
        return fd

    def _check_room(self, name: str, size: int) -> None:
        disk = os.fstatvfs(self._base)
        free = disk.f_bavail * disk.f_frsize
        if disk.f_blocks and size > free:
            raise EnvironmentFailure(
                f"{self.path / name} needs {size:,} bytes, and {free:,} are free on its disk. Free some space and run again."
            )

    def _failure(self, name: str, error: OSError) -> DataError | EnvironmentFailure:
        path, reason = self.path / name, error.strerror or error
        if name and error.errno in _IN_THE_WAY:
            advice = f"Give media names that are plain and differ, delete {self.path}, and run again."
            return DataError(f"{path} cannot be unpacked: {reason}. {advice}")
        return EnvironmentFailure(f"{path} cannot be written ({reason}); running again resumes")


class _Found:
    """What stands under a name already, as far as it goes on like what is to be put there."""

    def __init__(self, leaf: str, folder: int, size: int) -> None:
        self.inode: int | None = None
        self.same = 0
        self._file: BinaryIO | None = None
        with suppress(OSError):  # there is none, or it is a link, which is not followed but replaced
            fd = os.open(leaf, _FOUND, dir_fd=folder)
            state = os.fstat(fd)
            self.inode = state.st_ino
            if stat.S_ISREG(state.st_mode) and state.st_size == size:
                self._file = os.fdopen(fd, "rb")
            else:
                os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def goes_on_with(self, piece: bytes | memoryview) -> bool:
        """Whether it does, up to the end of this piece."""
        if self._file is None or self._file.read(len(piece)) != piece:
            return False
        self.same += len(piece)
        return True

    def is_whole(self, size: int) -> bool:
        """Whether it was the same from beginning to end."""
        return self._file is not None and self.same == size

    def copy(self, stream: BinaryIO) -> None:
        """Write what was the same."""
        if self._file:
            self._file.seek(0)
        left = self.same
        while self._file and left:
            data = self._file.read(min(left, _PIECE))
            stream.write(data)
            left -= len(data)


def _opened(part: str, parent: int) -> int:
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(part, dir_fd=parent)
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)


def suffix_of(data: bytes) -> str:
    """The suffix of what begins with these bytes; empty if it is not known."""
    kind = kind_of(data)
    return kind.suffix if kind else ""
