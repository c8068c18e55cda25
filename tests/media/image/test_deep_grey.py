"""Greys of more than 8 bits: what is black and what is white."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from juicecap.media.image import image_size, read_image

SMIN, SMAX = 340, 341


def greys(path: Path) -> list[int]:
    pixels = read_image(str(path), lambda width, height: (width, height))
    assert (pixels == pixels[..., :1]).all()
    return pixels[0, :, 0].tolist()


def tiff(path: Path, values: list[float], dtype: type, tags: dict[int, tuple[int, float]] | None = None) -> Path:
    """One row of greys; `tags` are (type, value) by number."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for number, (kind, value) in (tags or {}).items():
        info.tagtype[number] = kind
        info[number] = value
    Image.fromarray(np.array([values], dtype)).save(path, tiffinfo=info)
    return path


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, 0.5, 1], np.float32, [0, 128, 255]),
        ([0, 0.2, 0.4], np.float32, [0, 51, 102]),
        ([0, 1.5, 255], np.float32, [0, 2, 255]),
        ([0, 500, 1000], np.float32, [0, 128, 255]),
        ([math.nan, 0.5, 1], np.float32, [0, 128, 255]),
        ([math.inf, -math.inf, 1], np.float32, [255, 0, 255]),
        ([-3, 0.5, 1], np.float32, [0, 128, 255]),
        ([math.nan, math.nan], np.float32, [0, 0]),
        ([0, 100, 255], np.int32, [0, 100, 255]),
        ([0, 256, 65535], np.int32, [0, 1, 255]),
        ([0, 50_000, 100_000], np.int32, [0, 128, 255]),
        ([-5, 100, 255], np.int32, [0, 100, 255]),
        ([0, 255, 65535], np.uint16, [0, 0, 255]),
        ([0, 100, 255], np.uint16, [0, 0, 0]),
    ],
)
def test_by_the_largest_value(tmp_path: Path, values: list[float], dtype: type, expected: list[int]) -> None:
    assert greys(tiff(tmp_path / "a.tif", values, dtype)) == expected


def test_fractions_of_a_pfm(tmp_path: Path) -> None:
    path = tmp_path / "a.pfm"
    path.write_bytes(b"Pf\n3 1\n-1.0\n" + np.array([0, 0.5, 1], "<f4").tobytes())
    assert greys(path) == [0, 128, 255]


def test_32_bits_without_a_sign(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", [0, 2**30, -(2**31), -1], np.int32)
    content = path.read_bytes()
    signed = b"\x53\x01\x03\0\x01\0\0\0\x02\0"  # SampleFormat, one short, 2
    assert content.count(signed) == 1
    path.write_bytes(content.replace(signed, signed[:-2] + b"\x01\0"))
    assert greys(path) == [0, 64, 128, 255]


@pytest.mark.parametrize(("dtype", "kind"), [(np.float32, 11), (np.int32, 9), (np.uint16, 3)])
def test_the_file_says_what_is_black_and_white(tmp_path: Path, dtype: type, kind: int) -> None:
    path = tiff(tmp_path / "a.tif", [50, 100, 150, 200, 250], dtype, {SMIN: (kind, 100), SMAX: (kind, 200)})
    assert greys(path) == [0, 0, 128, 255, 255]


@pytest.mark.parametrize(
    "bounds", [{SMIN: (11, 5.0), SMAX: (11, 5.0)}, {SMAX: (11, math.nan)}, {SMIN: (11, 7.0), SMAX: (11, 1.0)}]
)
def test_bounds_that_are_none(tmp_path: Path, bounds: dict[int, tuple[int, float]]) -> None:
    assert greys(tiff(tmp_path / "a.tif", [0, 0.5, 1], np.float32, bounds)) == [0, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(tmp_path: Path, orientation: int) -> None:
    """As a PNG with the same note is."""
    pixels = np.arange(6 * 4, dtype=np.uint8).reshape(4, 6) * 10
    note = Image.Exif()
    note[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=note)
    Image.fromarray(pixels).save(tmp_path / "a.tif", tiffinfo={0x0112: orientation})
    png, tif = (read_image(str(tmp_path / name), lambda width, height: (width, height)) for name in ("a.png", "a.tif"))
    assert (png == tif).all()
    assert image_size(str(tmp_path / "a.tif")) == image_size(str(tmp_path / "a.png")) == png.shape[1::-1]
