"""Which files count as read otherwise than before, by their headers."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from make_clips import write_clip
from PIL import Image, ImageCms

from juicecap.errors import MediaError
from juicecap.media.read_otherwise import READING_VERSION, is_known, is_otherwise, reading_of


def film(path: Path, codec: str = "libx264", tracks: int = 1, sar: tuple[int, int] = (1, 1), **options: str) -> Path:
    with av.open(path, "w", options=options) as file:
        streams = []
        for _ in range(tracks):
            stream = file.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.sample_aspect_ratio = Fraction(*sar)
            streams.append(stream)
        for number in range(10):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), format="rgb24")
                file.mux(stream.encode(frame))
        for stream in streams:
            file.mux(stream.encode(None))
    return path


def patched(path: Path, before: bytes, after: bytes) -> Path:
    content = path.read_bytes()
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, after))
    return path


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-100])
    return path


SIZE_UNTOLD, SHOWN_AS_85X48 = b"\x54\xb2\x81\4\x55\xee\x81\0", b"\x54\xb0\x81\x55\x54\xba\x81\x30"
"""The element `DisplayUnit` and the one behind it, and the elements `DisplayWidth` and `DisplayHeight`."""

UPRIGHT = b"\0\1\0\0" + bytes(12) + b"\0\1\0\0" + bytes(12) + b"\x40\0\0\0"
QUARTER = bytes(4) + b"\0\1\0\0" + bytes(4) + b"\xff\xff\0\0" + bytes(16) + b"\x40\0\0\0"
MIRRORED = b"\xff\xff\0\0" + bytes(12) + b"\0\1\0\0" + bytes(12) + b"\x40\0\0\0"


def turned(path: Path, matrix: bytes) -> Path:
    """The matrix of the film, not that of the whole file, which stands before it."""
    content = path.read_bytes()
    at = content.rindex(UPRIGHT)
    path.write_bytes(content[:at] + matrix + content[at + len(matrix) :])
    return path


@pytest.mark.parametrize(
    ("otherwise", "make"),
    [
        (False, lambda folder: write_clip(folder / "a.mp4", 20)),
        (False, lambda folder: film(folder / "a.mov")),
        (False, lambda folder: film(folder / "a.mp4", movflags="faststart")),
        (False, lambda folder: film(folder / "a.mkv")),
        (False, lambda folder: film(folder / "a.webm", "libvpx")),
        (False, lambda folder: film(folder / "a.avi", "mpeg4")),
        (False, lambda folder: turned(film(folder / "a.mp4"), QUARTER)),
        (True, lambda folder: turned(film(folder / "a.mp4"), MIRRORED)),
        (True, lambda folder: film(folder / "a.mp4", movflags="frag_keyframe+empty_moov")),
        (True, lambda folder: film(folder / "a.mp4", sar=(4, 3))),
        (True, lambda folder: patched(film(folder / "a.mkv"), SIZE_UNTOLD, SHOWN_AS_85X48)),
        (True, lambda folder: film(folder / "a.mp4", tracks=2)),
        (True, lambda folder: film(folder / "a.mkv", tracks=2)),
        (True, lambda folder: patched(film(folder / "a.mp4"), b"avc1\0\0\0\0", b"encv\0\0\0\0")),
        (True, lambda folder: cut(film(folder / "a.mp4", movflags="faststart"))),
        (True, lambda folder: cut(film(folder / "a.mkv"))),
        (True, lambda folder: film(folder / "a.ts")),
        (True, lambda folder: film(folder / "a.flv")),
        (True, lambda folder: film(folder / "a.264")),
        (True, lambda folder: film(folder / "a.mpg", "mpeg2video")),
    ],
)
def test_films(tmp_path: Path, otherwise: bool, make: Callable[[Path], Path]) -> None:
    reading = reading_of(str(make(tmp_path)))
    assert (is_known(reading), is_otherwise(reading)) == (True, otherwise)


def saved(**how: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "a"
        Image.new("RGB", (8, 8), "red").save(path, **how)
        return path

    return make


OTHER_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    ("otherwise", "make"),
    [
        (False, saved(format="PNG")),
        (False, saved(format="JPEG")),
        (False, saved(format="WEBP")),
        (False, saved(format="JPEG", icc_profile=SRGB)),
        (True, saved(format="JPEG", icc_profile=OTHER_PROFILE)),
        (True, saved(format="PNG", icc_profile=OTHER_PROFILE)),
        (True, saved(format="WEBP", icc_profile=OTHER_PROFILE)),
        (True, saved(format="TIFF")),
        (True, saved(format="GIF")),
        (True, saved(format="WEBP", save_all=True, append_images=[Image.new("RGB", (8, 8), "blue")])),
    ],
)
def test_pictures(tmp_path: Path, otherwise: bool, make: Callable[[Path], Path]) -> None:
    assert is_otherwise(reading_of(str(make(tmp_path)))) is otherwise


@pytest.mark.parametrize("length", [1, 7, 8, 20, 31, 40, 60, 200, 1000, 2000])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".webp"])
def test_whatever_is_missing_it_is_an_answer(tmp_path: Path, suffix: str, length: int) -> None:
    if suffix == ".webp":
        whole = io.BytesIO()
        Image.new("RGB", (8, 8)).save(whole, "WEBP", icc_profile=SRGB)
        content = whole.getvalue()
    else:
        options = {"movflags": "faststart"} if suffix == ".mp4" else {}
        content = film(tmp_path / f"whole{suffix}", "mpeg4" if suffix == ".avi" else "libx264", **options).read_bytes()
    (tmp_path / "part").write_bytes(content[:length])
    assert is_known(reading_of(str(tmp_path / "part")))


def test_what_versions_say() -> None:
    assert [is_known(reading) for reading in ("", f"{READING_VERSION - 1}+", f"{READING_VERSION}", f"{READING_VERSION}+")] == [
        False, False, True, True,
    ]  # fmt: skip


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="FILE_NOT_FOUND"):
        reading_of(str(tmp_path / "none.mp4"))
