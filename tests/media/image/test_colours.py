"""Profiles are followed, and what is no profile costs no picture. The right colours are those of the profile's own formula."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from make_clips import corners, corners_in
from make_profiles import GREEN, GREY_LINEAR, P3, RED, SWAPPED, WHITE, brought, gamma, profile, rgb_profile
from PIL import Image, ImageCms

from juicecap.media.image import image_size, read_image

GREYS = [250, 170, 90, 10]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def as_stored(width: int, height: int) -> tuple[int, int]:
    return width, height


@pytest.mark.parametrize("suffix", ["avif", "jpg", "png", "tiff", "webp"])
def test_a_profile_is_followed_in_each_format_that_has_them(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (48, 32), RED).save(path, icc_profile=SWAPPED)
    assert read_image(str(path), as_stored)[16, 24].tolist() == pytest.approx(GREEN, abs=6)


def test_display_p3_is_brought_to_srgb(tmp_path: Path) -> None:
    """By hand: linear, times the matrix from P3 to sRGB (CSS Color 4), and back."""
    path, stored = tmp_path / "a.png", np.array([200, 120, 60])
    Image.new("RGB", (4, 4), tuple(stored)).save(path, icc_profile=rgb_profile(P3, gamma(2.2)))
    matrix = np.array([[1.2249, -0.2249, 0.0], [-0.0420, 1.0420, 0.0], [-0.0196, -0.0786, 1.0982]])
    linear = matrix @ (stored / 255) ** 2.2
    expected = brought(*linear)
    assert read_image(str(path), as_stored)[2, 2].tolist() == pytest.approx(expected, abs=2)
    assert abs(expected[0] - 200) > 8


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_profile_of_greys(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (4, 4), 55).convert(mode).save(path, icc_profile=GREY_LINEAR)
    assert read_image(str(path), as_stored)[2, 2].tolist() == pytest.approx(brought(55 / 255) * 3, abs=2)


def test_a_profile_of_inks(tmp_path: Path) -> None:
    """A table (mft1, ICC.1:2001 6.5.7) in which full cyan alone is mid grey, and no ink is white."""
    lab = bytes(
        value
        for cyan in (0, 1) for _magenta in (0, 1) for _yellow in (0, 1) for black in (0, 1)
        for value in ((0 if black else 136 if cyan else 255), 128, 128)
    )  # fmt: skip
    identity = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table += identity * 4 + lab + identity * 3
    made = bytearray(profile(b"CMYK", {b"wtpt": WHITE, b"A2B0": table}, b"prtr"))
    made[20:24] = b"Lab "
    path = tmp_path / "a.tiff"
    picture = Image.new("CMYK", (4, 2), (0, 0, 0, 0))
    picture.paste((255, 0, 0, 0), (0, 0, 2, 2))
    picture.save(path, icc_profile=bytes(made))
    pixels = read_image(str(path), as_stored)
    assert pixels[1, 3].tolist() == pytest.approx([255, 255, 255], abs=3)
    assert pixels[1, 0].tolist() == pytest.approx([127, 127, 127], abs=6)  # L* 53.3


def test_srgb_by_another_name_leaves_the_pixels_as_they_are(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=SRGB)
    assert (read_image(str(tmp_path / "a.png"), as_stored) == pixels).all()


@pytest.mark.parametrize("broken", [b"no profile", SWAPPED[:140], GREY_LINEAR, SWAPPED[:36] + b"nope" + SWAPPED[40:], bytes(200)])
def test_a_profile_that_is_damaged_or_for_other_pixels_is_none(tmp_path: Path, broken: bytes) -> None:
    Image.fromarray(corners(*GREYS, 96, 64)).save(tmp_path / "a.png", icc_profile=broken)
    assert corners_in(read_image(str(tmp_path / "a.png"), as_stored)) == GREYS


def test_transparent_parts_are_white_beside_a_profile(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (4, 2), (*RED, 255))
    picture.paste((*RED, 0), (0, 0, 2, 2))
    picture.save(tmp_path / "a.png", icc_profile=SWAPPED)
    pixels = read_image(str(tmp_path / "a.png"), as_stored)
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert pixels[0, 3].tolist() == pytest.approx(GREEN, abs=4)


def test_what_the_first_picture_of_a_gif_leaves_of_its_canvas_is_white(tmp_path: Path) -> None:
    """Patched: the picture keeps its 16x8 pixels, and lies at (4, 2) of a canvas of 32x20."""
    path = tmp_path / "a.gif"
    Image.new("P", (16, 8), 1).save(path, palette=[200, 0, 0, 0, 0, 150] + [0] * 762)
    content = bytearray(path.read_bytes())
    content[6:10] = struct.pack("<HH", 32, 20)
    frame = content.index(b"\x2c", 13)
    content[frame + 1 : frame + 5] = struct.pack("<HH", 4, 2)
    path.write_bytes(content)
    pixels = read_image(str(path), as_stored)
    assert (image_size(str(path)), pixels.shape) == ((32, 20), (20, 32, 3))
    whole = np.full((20, 32, 3), 255, np.uint8)
    whole[2:10, 4:20] = pixels[5, 8]
    assert (pixels == whole).all()
    assert tuple(pixels[5, 8]) != (255, 255, 255)


def png_with(path: Path, name: bytes, data: bytes, *, crc: int | None = None) -> Path:
    """A PNG with one more chunk behind its header."""
    Image.fromarray(corners(*GREYS, 96, 64)).save(path)
    content, crc = path.read_bytes(), zlib.crc32(name + data) if crc is None else crc
    path.write_bytes(content[:33] + struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc) + content[33:])
    return path


@pytest.mark.parametrize(
    ("name", "data", "crc"),
    [
        (b"eXIf", b"nonsense", None),
        (b"eXIf", b"II*\0\x08\0\0\0", 4711),
        (b"iCCP", b"x\0\0nonsense", None),
        (b"iCCP", b"x\0\7nonsense", None),
        (b"iCCP", b"x", None),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n       9\nnot hexadecimal\n"), None),
        (b"zTXt", b"workflow\0\0" + zlib.compress(b"{}" * 2**20), None),
    ],
)  # fmt: skip
def test_damage_beside_the_pixels_of_a_png_costs_nothing(tmp_path: Path, name: bytes, data: bytes, crc: int | None) -> None:
    path = png_with(tmp_path / "a.png", name, data, crc=crc)
    assert corners_in(read_image(str(path), as_stored)) == GREYS
    assert image_size(str(path)) == (96, 64)


@pytest.mark.parametrize("block", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + bytes(40)])
@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_an_exif_block_that_is_damaged_costs_nothing(tmp_path: Path, suffix: str, block: bytes) -> None:
    Image.fromarray(corners(*GREYS, 96, 64)).save(tmp_path / f"a.{suffix}", exif=block)
    assert corners_in(read_image(str(tmp_path / f"a.{suffix}"), as_stored)) == GREYS
    assert image_size(str(tmp_path / f"a.{suffix}")) == (96, 64)
