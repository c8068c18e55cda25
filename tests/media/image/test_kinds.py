"""What is not read is called by its name, and what is damaged damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from make_clips import corners, write_clip
from PIL import Image

from juicecap.errors import MediaError
from juicecap.media.image import image_size, read_image


def refusal(path: Path) -> str:
    told = []
    for look in (image_size, lambda path: read_image(path, lambda width, height: (width, height))):
        with pytest.raises(MediaError) as caught:
            look(str(path))
        told.append(str(caught.value))
    assert told[0] == told[1]
    return told[0]


@pytest.mark.parametrize(
    ("format_", "kind"), [("PCX", "PCX"), ("TGA", "TGA"), ("SGI", "SGI"), ("DDS", "DDS"), ("EPS", "EPS"), ("ICNS", "ICNS")]
)
def test_kinds_that_pillow_knows(tmp_path: Path, format_: str, kind: str) -> None:
    path = tmp_path / f"a.{format_.lower()}"
    Image.fromarray(corners(250, 170, 90, 10, 96, 64)).save(path, format_)
    assert refusal(path) == f"UNREADABLE: {path} is of a kind that is not read: {kind}"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\x0a\xfa\x1f" + bytes(40), "JPEG XL"),
        (b"8BPS\0\x01" + bytes(40), "PSD"),
        (b"%PDF-1.7\n", "PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "CR3"),
    ],
)
def test_kinds_that_it_does_not_know(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert refusal(path) == f"UNREADABLE: {path} is of a kind that is not read: {kind}"


def test_a_sort_of_tiff_that_is_not_read(tmp_path: Path) -> None:
    """Its pixels have 12 bits."""
    path = tmp_path / "a.tif"
    Image.new("L", (4, 4)).save(path)
    content = bytearray(path.read_bytes())
    bits = content.index(struct.pack("<HHIH", 258, 3, 1, 8))
    content[bits + 8] = 13
    path.write_bytes(content)
    assert refusal(path) == f"UNREADABLE: {path} is of a kind that is not read: TIFF (unknown pixel mode)"


def test_a_video(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", 2)
    assert refusal(path) == f"UNREADABLE: {path} is a video (MP4), not a picture"


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "tiff", "ico"])
def test_a_header_that_was_cut_off_is_damage(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(corners(250, 170, 90, 10, 96, 64)).save(path)
    path.write_bytes(path.read_bytes()[:10])
    assert refusal(path).startswith(f"UNDECODABLE: {path} is damaged (")


@pytest.mark.parametrize("name", ["a.jpg", "a.pcx", "a.heic", "a"])
def test_a_name_alone_makes_no_kind(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"It was a dark and stormy night.\n" * 9)
    assert refusal(path) == f"UNREADABLE: {path} is not a picture that can be read"
