from __future__ import annotations

import pytest

from juicecap.signatures import is_still, kind_of


def ftyp(*brands: bytes) -> bytes:
    return (
        (16 + 4 * (len(brands) - 1)).to_bytes(4, "big") + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:]) + b"\0\0\1\0meta"
    )


@pytest.mark.parametrize(
    ("head", "name", "suffix", "holds"),
    [
        (ftyp(b"heic", b"mif1", b"heic"), "HEIC", ".heic", "picture"),
        (ftyp(b"heix", b"mif1"), "HEIC", ".heic", "picture"),
        (ftyp(b"mif1", b"heic"), "HEIC", ".heic", "picture"),
        (ftyp(b"mif1", b"miaf", b"avif"), "AVIF", ".avif", "picture"),
        (ftyp(b"avif", b"mif1"), "AVIF", ".avif", "picture"),
        (ftyp(b"avis", b"msf1", b"avif"), "AVIF", ".avif", "picture"),
        (ftyp(b"isom", b"iso2", b"mp41"), "MP4", ".mp4", "video"),
        (ftyp(b"mp42"), "MP4", ".mp4", "video"),
        (ftyp(b"mp42", b"avif"), "MP4", ".mp4", "video"),
        (ftyp(b"qt  "), "QuickTime", ".mov", "video"),
        (ftyp(b"crx "), "CR3", ".cr3", "picture"),
        (b"\x1aE\xdf\xa3" + bytes(20), "Matroska", ".mkv", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI", ".avi", "video"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WebP", ".webp", "picture"),
        (b"RIFF\0\0\0\0WAVEfmt ", "WAV", ".wav", "other"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL", ".jxl", "picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000", ".jp2", "picture"),
        (b"II*\0\x08\0\0\0", "TIFF", ".tif", "picture"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg xmlns="', "SVG", ".svg", "picture"),
    ],
)
def test_kinds(head: bytes, name: str, suffix: str, holds: str) -> None:
    kind = kind_of(head)
    assert kind is not None
    assert (kind.name, kind.suffix, kind.holds) == (name, suffix, holds)


@pytest.mark.parametrize(
    "head", [b"", b"\0\0\0\x18fty", b"It was a dark and stormy night.", b"<?xml version='1.0'?><html>", bytes(600)]
)
def test_what_is_not_known(head: bytes) -> None:
    assert kind_of(head) is None


def test_every_beginning_of_a_file_has_an_answer() -> None:
    for head in (ftyp(b"mif1", b"heic"), b"\xff\xff\xff\xffftypheic", b"\0\0\0\0ftyp"):
        for length in range(len(head)):
            kind_of(head[:length])
            is_still(head[:length])


def test_a_still_is_told_from_a_row_of_pictures() -> None:
    assert is_still(ftyp(b"heic", b"mif1"))
    assert is_still(ftyp(b"mif1", b"heic"))
    assert not is_still(ftyp(b"hevc", b"msf1"))
    assert not is_still(ftyp(b"heic", b"mif1", b"msf1"))
    assert not is_still(ftyp(b"avis", b"avif"))
    assert not is_still(ftyp(b"isom"))
