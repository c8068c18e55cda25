"""The members of a tar file (ustar, PAX, GNU), one after the other, by a walk over its headers that foreign bytes cannot hold up.

`tarfile` cannot be used on what is foreign: digits without end in a PAX header keep it busy for hours, deaf to signals, and the
map of a sparse member claims whatever it likes. Here a header of names is bounded, a number has as many digits as one can
have, and memory holds one header. Sparse members are reported as such, without their content.

What is not read of a member is passed over. The archive ends at the first block of zeros, or with its last member.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from juicecap.data.compressed import PIECE, Allowance
from juicecap.text import reason_of

BLOCK = 512

LONGEST_HEADER = 1 << 20
"""Bytes of the attributes (PAX) or the long name (GNU) of a member; a name has some hundred at most."""

_LARGEST = 2**63 - 1

_FILES, _FOLDER, _SPARSE = (b"0", b"\0", b"7"), b"5", b"S"
_WITHOUT_CONTENT = b"123456"
"""Links, devices, folders and pipes: whatever size they have, nothing follows their header."""

_LONG_NAME, _LONG_LINK, _PAX, _PAX_FOR_ALL = b"L", b"K", (b"x", b"X"), b"g"


class TarError(Exception):
    """It is no tar file, damaged, or cannot be read."""


class Member(NamedTuple):
    """What a header says of a member."""

    name: str
    size: int
    """Bytes of its content."""
    kind: str
    """file, folder, sparse, or other."""


class Tar:
    """Iterates over the members of a stream; `blocks` is the content of the one that was given last.

    `allowance` says what a stream that is unpacked on the way may come to; a member that claims more is not begun.
    """

    def __init__(self, stream: IO[bytes], allowance: Allowance | None = None) -> None:
        self._stream, self._allowance = stream, allowance
        self._length = os.fstat(stream.fileno()).st_size if stream.seekable() else None
        """Bytes of the stream; None where it is unpacked and they are not known."""
        self._at = 0
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """The members in order.

        Raises:
            TarError: a header is damaged, or the content of a member is cut.
        """
        while (member := self._next()) is not None:
            yield member

    def blocks(self) -> Iterator[bytes]:
        """The content of the last member, in pieces.

        Raises:
            TarError: it is cut.
        """
        while self._left:
            piece = self._read(min(self._left, PIECE))
            self._left -= len(piece)
            yield piece

    def read(self) -> bytes:
        """The content of the last member as a whole. Whoever calls this looks at its size first.

        Raises:
            TarError: it is cut.
        """
        return b"".join(self.blocks())

    def _next(self) -> Member | None:
        name: str | None = None
        size: int | None = None
        sparse = False
        while True:
            self._pass_over(self._left + self._padding)
            self._left = self._padding = 0
            at = self._at
            header = self._some(BLOCK)
            if not header and at == 0:
                raise TarError("empty file")
            if not header or header.count(0) == BLOCK:
                if name is not None or size is not None or sparse:
                    raise TarError("unexpected end of data")
                return None
            kind = header[156:157]
            stored = _stored_size(header, at)
            if kind in (_LONG_NAME, _LONG_LINK, *_PAX, _PAX_FOR_ALL):
                content = self._header_content(stored, at)
                if kind == _LONG_NAME:
                    name = _text(content.partition(b"\0")[0])
                elif kind in _PAX:
                    name, size, sparse = _attributes(content, at, name)
                elif kind == _PAX_FOR_ALL and _attributes(content, at, None) != (None, None, False):
                    raise TarError(f"the header at byte {at} names all members alike")
                continue
            member = _member(header, name, stored if size is None else size, sparse=sparse)
            if kind == _SPARSE:
                self._pass_over_map(header)
            self._expect(0 if kind in _WITHOUT_CONTENT else member.size)
            return member

    def _expect(self, size: int) -> None:
        """Take note of the content that follows."""
        if self._length is not None and size > self._length - self._at:
            raise TarError("unexpected end of data")
        if self._allowance:
            self._allowance.check(self._at + size)
        self._left, self._padding = size, -size % BLOCK

    def _header_content(self, size: int, at: int) -> bytes:
        if size > LONGEST_HEADER:
            raise TarError(f"the header at byte {at} has {size:,} bytes, more than {LONGEST_HEADER:,}")
        self._expect(size)
        return self.read()

    def _pass_over_map(self, header: bytes) -> None:
        """Pass over the rest of an old GNU sparse member's map, which stands before its content."""
        more = header[482]
        while more:
            more = self._read(BLOCK)[504]

    def _read(self, size: int) -> bytes:
        data = self._some(size)
        if len(data) < size:
            raise TarError("unexpected end of data")
        return data

    def _some(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise TarError(getattr(error, "strerror", None) or reason_of(error)) from error
        self._at += len(data)
        return data

    def _pass_over(self, size: int) -> None:
        if self._length is not None:
            self._at += size
            self._stream.seek(self._at)
            return
        while size:
            size -= len(self._read(min(size, PIECE)))


def _stored_size(header: bytes, at: int) -> int:
    """The size in a header whose checksum is right."""
    if len(header) < BLOCK:
        raise TarError("unexpected end of data")
    checksum = _number(header[148:156], at)
    blank = header[:148] + b" " * 8 + header[156:]
    if checksum != sum(blank) and checksum != sum(memoryview(blank).cast("b")):  # some writers summed up signed bytes
        raise TarError(f"the header at byte {at} is damaged" if at else "it does not begin with a header")
    return _number(header[124:136], at)


def _number(field: bytes, at: int) -> int:
    """A number of a header: digits to the base 8, or (GNU) the bytes themselves."""
    if field[:1] == b"\x80":
        value = int.from_bytes(field[1:], "big")
    else:
        digits = field.partition(b"\0")[0].strip(b" ")
        if digits.strip(b"01234567"):
            raise TarError(f"the header at byte {at} is damaged" if at else "it does not begin with a header")
        value = int(digits or b"0", 8)
    if value > _LARGEST:
        raise TarError(f"the header at byte {at} claims {value:,} bytes")
    return value


def _attributes(content: bytes, at: int, name: str | None) -> tuple[str | None, int | None, bool]:
    """Name, size, and whether it is sparse, of the member that follows PAX attributes: `LENGTH KEY=VALUE` in lines."""
    size, sparse, start = None, False, 0
    while start < len(content) and content[start]:
        space = content.find(b" ", start, start + len(str(LONGEST_HEADER)) + 1)
        length = content[start:space] if space > 0 else b""
        end = start + int(length) if length.isdigit() else 0
        if not space < end <= len(content) or content[end - 1 : end] != b"\n":
            raise TarError(f"the attributes at byte {at} are damaged")
        key, _, value = content[space + 1 : end - 1].partition(b"=")
        start = end
        if key == b"path":
            name = _text(value)
        elif key == b"size":
            if not value.isdigit() or len(value) > len(str(_LARGEST)) or int(value) > _LARGEST:
                raise TarError(f"the attributes at byte {at} claim a size that no member has")
            size = int(value)
        elif key.startswith(b"GNU.sparse."):
            sparse = True
    return name, size, sparse


def _member(header: bytes, name: str | None, size: int, *, sparse: bool) -> Member:
    if name is None:
        name = _text(header[:100].partition(b"\0")[0])
        prefix = _text(header[345:500].partition(b"\0")[0]) if header[257:263] == b"ustar\0" else ""
        name = f"{prefix}/{name}" if prefix else name
    kind = header[156:157]
    if kind == _SPARSE or sparse:
        return Member(name, size, "sparse")
    if kind == _FOLDER or (kind == b"\0" and name.endswith("/")):
        return Member(name, size, "folder")
    return Member(name, size, "file" if kind in _FILES else "other")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
