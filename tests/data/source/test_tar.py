"""The walk over tar headers sees what `tarfile` sees, and refuses what no writer writes."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from juicecap.data.source.shards import tar
from juicecap.data.source.shards.tar import BLOCK, Member, Tar, TarError

CONTENTS = [b"", b"x", b"y" * 511, b"z" * 512, b"w" * 513, b"v" * 100_000]
NAMES = [
    "a.mp4",
    "d" * 90 + ".x",
    "é" * 60 + ".mp4",
    "deep/" * 22 + "a.txt",
    "deep/" * 60 + "a.txt",
    "x" * 200,
    "./a/../b",
    "日本.json",
]


def packed(members: list[tuple[tarfile.TarInfo, bytes]], format_: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format_) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **pax: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.pax_headers = len(content), kind, "elsewhere", pax
    return info, content


def header(name: bytes = b"a.mp4", kind: bytes = b"0", size: bytes = b"0\0", **fields: tuple[int, bytes]) -> bytes:
    """A header written by hand, with its checksum."""
    block = bytearray(BLOCK)
    block[: len(name)], block[124 : 124 + len(size)], block[156:157] = name, size, kind
    block[257:265] = b"ustar\x0000"
    for at, value in fields.values():
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def read(data: bytes, folder: Path) -> list[tuple[Member, bytes]]:
    """From a file, and from a stream that cannot seek: both see the same."""

    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.stream = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:
            return self.stream.readinto(buffer)

    def seen(archive: Tar) -> Iterator[tuple[Member, bytes]]:
        for number, each in enumerate(archive):
            yield each, archive.read() if number % 3 else b"passed over"

    (folder / "x.tar").write_bytes(data)
    with (folder / "x.tar").open("rb") as file:
        found = list(seen(Tar(file)))
    assert list(seen(Tar(io.BufferedReader(Stream())))) == found
    return found


def said(data: bytes, folder: Path) -> str:
    with pytest.raises(TarError) as caught:
        read(data, folder)
    return str(caught.value)


@pytest.mark.parametrize("format_", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_that_tarfile_sees(format_: int, tmp_path: Path) -> None:
    names = NAMES if format_ != tarfile.USTAR_FORMAT else [*NAMES[:2], *NAMES[3:4]]
    kinds = [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.CONTTYPE]
    members = [member(name, content) for name in names for content in CONTENTS]
    members += [member(f"{number}/odd", kind=kind) for number, kind in enumerate(kinds)]
    random.Random(0).shuffle(members)
    data = packed(members, format_)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = [
            (each.name, each.size, each.isreg(), archive.extractfile(each).read() if each.isreg() else b"")
            for each in archive
            if not each.isdir()
        ]
    found = [(each, content) for each, content in read(data, tmp_path) if each.kind != "folder"]
    assert len(found) == len(expected) == len(members) - 1
    for (each, content), (name, size, plain, whole) in zip(found, expected, strict=True):
        assert (each.name, each.size, each.kind == "file") == (name, size, plain)
        assert content in (whole, b"passed over")


def test_old_headers_and_numbers_of_the_gnu_kind(tmp_path: Path) -> None:
    large = b"\x80" + (3).to_bytes(11, "big")
    old = header(b"old.txt", b"\0", b"0000003\0", magic=(257, bytes(8)))
    data = old + padded(b"abc") + header(b"gnu.txt", b"0", large) + padded(b"def") + header(b"folder/", b"\0")
    assert read(data, tmp_path) == [
        (Member("old.txt", 3, "file"), b"passed over"),
        (Member("gnu.txt", 3, "file"), b"def"),
        (Member("folder/", 0, "folder"), b""),
    ]


def test_checksums_of_signed_bytes(tmp_path: Path) -> None:
    block = bytearray(header("é.mp4".encode()))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(byte - 256 * (byte > 127) for byte in block)
    assert [each.name for each, _ in read(bytes(block), tmp_path)] == ["é.mp4"]


def test_sparse_members_are_told_and_passed_over(tmp_path: Path) -> None:
    more = padded(bytes(504) + b"\1") + padded(b"\0")
    old = header(b"old.mp4", b"S", b"0000003\0", more=(482, b"\1"), real=(483, b"77777777777\0")) + more + padded(b"abc")
    pax = packed(
        [member("pax.mp4", b"abc", **{"GNU.sparse.major": "1", "GNU.sparse.realsize": "9" * 12}), member("last.txt", b"z")]
    )
    assert [each for each, _ in read(old + pax, tmp_path)] == [
        Member("old.mp4", 3, "sparse"),
        Member("pax.mp4", 3, "sparse"),
        Member("last.txt", 1, "file"),
    ]


def test_where_it_ends(tmp_path: Path) -> None:
    whole = header() + header(b"b.mp4")
    assert len(read(whole, tmp_path)) == 2
    assert len(read(whole + bytes(BLOCK) + whole, tmp_path)) == 2
    assert said(b"", tmp_path) == "empty file"


DIGITS = b"9" * 1_000_000


def pax(record: bytes, key: bytes = b"size") -> bytes:
    text = b" " + key + b"=" + record + b"\n"
    length = next(size for size in range(len(text), len(text) + 10) if len(str(size)) + len(text) == size)
    content = str(length).encode() + text
    return header(b"pax", b"x", b"%o\0" % len(content)) + padded(content) + header() + header(b"b.mp4")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pax(DIGITS), r"the attributes at byte 0 claim a size that no member has"),
        (pax(b"9" * 19), r"the attributes at byte 0 claim a size that no member has"),
        (pax(b"-1"), r"the attributes at byte 0 claim a size that no member has"),
        (pax(b"1.5"), r"the attributes at byte 0 claim a size that no member has"),
        (pax(b"\xd9\xa1"), r"the attributes at byte 0 claim a size that no member has"),
        (pax(b"9" * 1_100_000, b"comment"), r"the header at byte 0 has 1,100,017 bytes, more than 1,048,576"),
        (pax(b"8" * 15), "unexpected end of data"),
        (header(b"x", b"x", b"0000020\0") + padded(DIGITS[:16]) + header(), "the attributes at byte 0 are damaged"),
        (header(b"x", b"x", b"0000020\0") + padded(b"999 path=x\n") + header(), "the attributes at byte 0 are damaged"),
        (header(b"x", b"x", b"0000020\0") + padded(b"0 path=x\n") + header(), "the attributes at byte 0 are damaged"),
        (header(b"x", b"x", b"0000020\0") + padded(b"-9 path=x\n") + header(), "the attributes at byte 0 are damaged"),
        (header(b"x", b"x", b"0000012\0") + padded(b"10 path=x\n"), "unexpected end of data"),
        (header(b"x", b"g", b"0000012\0") + padded(b"10 path=x\n") + header(), "the header at byte 0 names all members alike"),
        (header(b"x", b"L", b"77777777777\0") + header(), "the header at byte 0 has 8,589,934,591 bytes, more than 1,048,576"),
        (header(b"x", b"K", b"77777777777\0") + header(), "the header at byte 0 has 8,589,934,591 bytes, more than 1,048,576"),
        (header(size=b"77777777777\0"), "unexpected end of data"),
        (header(size=b"\x80" + b"\xff" * 11), "the header at byte 0 claims 309,485,009,821,345,068,724,781,055 bytes"),
        (header(size=b"\xff" * 12), "it does not begin with a header"),
        (header(size=b"0_0\0"), "it does not begin with a header"),
        (header() + header(size=b"0x1\0"), "the header at byte 512 is damaged"),
        (header() + b"\1" + header()[1:], "the header at byte 512 is damaged"),
        (header() + header()[:100], "unexpected end of data"),
        (b"no tar", "unexpected end of data"),
        (b"no tar" * 1000, "it does not begin with a header"),
    ],
)
def test_what_no_writer_writes(data: bytes, message: str, tmp_path: Path) -> None:
    assert said(data, tmp_path) == message


@pytest.mark.parametrize("key", [b"mtime", b"atime", b"uid", b"comment", b"SCHILY.xattr.x"])
def test_other_attributes_are_not_looked_at(key: bytes, tmp_path: Path) -> None:
    assert [each.name for each, _ in read(pax(DIGITS, key), tmp_path)] == ["a.mp4", "b.mp4"]


def test_memory_holds_one_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim within the bounds of a header is not believed beyond what is there."""
    monkeypatch.setattr(tar, "LONGEST_HEADER", 2**40)
    assert said(header(b"x", b"x", b"17777777777\0"), tmp_path) == "unexpected end of data"


def test_any_damage_is_an_error_or_other_members(tmp_path: Path) -> None:
    whole = bytearray(packed([member(name, content) for name in NAMES for content in CONTENTS[:4]]))
    rng, refused = random.Random(1), set()
    for _ in range(600):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 2, 8))):
            at = rng.randrange(len(data))
            data[at : at + rng.choice((1, 4, 12))] = rng.choice((b"\xff", b"9", b"\0", b"7" * 12, rng.randbytes(4)))
        del data[rng.randrange(len(data)) if rng.random() < 0.2 else len(data) :]
        try:
            read(bytes(data), tmp_path)
        except TarError as error:
            refused.add(str(error).partition(" at byte")[0])
    assert {"the header", "unexpected end of data"} <= refused
    assert "" not in refused
