"""The bytes of a file, unpacked where its name ends in `.gz` or `.zst`.

A packed file can hold far more than its size suggests. It is unpacked piece by piece and never held in memory. One that unpacks
to more than any real data would is refused before it fills the disk.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, cast

from typing_extensions import override

from juicecap.data.record import LONGEST, unreadable
from juicecap.errors import DataError
from juicecap.text import reason_of

SUFFIXES = (".gz", ".zst")
"""Suffixes of packed files."""

SMALL = 1 << 30
"""Bytes that any source may unpack to."""

MOST = 200
"""How many times its size a source may unpack to beyond that; records are packed about ten times."""

PIECE = 1 << 20

_MARK = b"\xef\xbb\xbf"

_WIDE = ((b"\xff\xfe\0\0", "UTF-32"), (b"\0\0\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
"""Marks at the beginning of texts that are not UTF-8."""


def inner_suffix(path: PurePath) -> str:
    """The suffix that says what is in the file, in lower case: `.jsonl` for `clips.jsonl.gz`."""
    suffix = path.suffix.lower()
    return PurePath(path.stem).suffix.lower() if suffix in SUFFIXES else suffix


class Allowance:
    """Counts the unpacked bytes of a source, and refuses more than its packed size justifies."""

    def __init__(self, source: str, size: int, advice: str = "unpack it and give the unpacked file") -> None:
        self.most = max(SMALL, MOST * size)
        self._source, self._advice = source, advice
        self._count = 0

    def take(self, count: int) -> None:
        """Count more bytes.

        Raises:
            DataError: it is too much.
        """
        self._count += count
        self.check(0)

    def check(self, more: int) -> None:
        """Make sure that there is room for this many bytes more, without counting them.

        Raises:
            DataError: there is not.
        """
        if self._count + more > self.most:
            raise DataError(
                f"{self._source} unpacks to more than {self.most:,} bytes, which no records of its size do. "
                f"If that is meant, {self._advice}."
            )


@contextmanager
def unpacked(path: Path, suffix: str | None = None) -> Iterator[IO[bytes]]:
    """The bytes of the file as they are once unpacked. `suffix` says how it is packed where its name does not.

    Raises:
        DataError: the file cannot be read, is damaged, or unpacks to more than is safe.
    """
    suffix = path.suffix.lower() if suffix is None else suffix
    try:
        if suffix not in SUFFIXES:
            with path.open("rb") as plain:
                yield plain
            return
        with _opened(path, suffix) as packed, io.BufferedReader(_Watched(packed, path), PIECE) as stream:
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if suffix in SUFFIXES and error.errno is None:  # errors of pyarrow and gzip about the content have no errno
            raise _damaged(path, error) from error
        raise unreadable(path, error) from error


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    r"""The lines of a file, a byte order mark removed, with their numbers from 1 and their line ends.

    Only `\n` ends a line: other characters that Unicode calls line breaks may stand inside JSON strings and CSV cells. Of a
    line longer than `LONGEST` bytes only one byte more is given.

    Raises:
        DataError: see `unpacked`; or it is UTF-16 or UTF-32.
    """
    number = 0
    with unpacked(path) as stream:
        while line := stream.readline(LONGEST + 1):
            number += 1
            if number == 1:
                refuse_wide(line, path)
            if len(line) > LONGEST:
                _pass_over(stream, line)
            yield number, without_mark(line) if number == 1 else line


def without_mark(line: bytes) -> bytes:
    """The line without the byte order marks that it begins with, as the first line of each file that was joined to others may."""
    while line.startswith(_MARK):
        line = line.removeprefix(_MARK)
    return line


def refuse_wide(start: bytes, path: Path) -> None:
    """Make sure that a text that begins so is not UTF-16 or UTF-32, as Windows and spreadsheets write it.

    Raises:
        DataError: it is.
    """
    name = next((name for mark, name in _WIDE if start.startswith(mark)), "")
    if not name and len(start) > 1 and (start[0] == 0) != (start[1] == 0) and start[:64].count(0) * 3 > len(start[:64]):
        name = "UTF-16"
    if name:
        raise DataError(f"{path} is {name}, not UTF-8. Save the file as UTF-8.")


def _pass_over(stream: IO[bytes], piece: bytes) -> None:
    """Read on to the end of a line of which `piece` was the last part."""
    while piece and not piece.endswith(b"\n"):
        piece = stream.readline(PIECE)


def _opened(path: Path, suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    import pyarrow as pa

    return cast("IO[bytes]", pa.input_stream(path, compression="zstd"))


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is damaged and cannot be unpacked: {reason_of(error)}. Pack or fetch it again.")


class _Watched(io.RawIOBase):
    """Passes on what it reads as long as that is no more than the packed size justifies."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._allowance = Allowance(str(path), path.stat().st_size)

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants any buffer
        data = self._stream.read(len(buffer))
        self._allowance.take(len(data))
        buffer[: len(data)] = data
        return len(data)
