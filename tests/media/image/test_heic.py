"""HEIC, by an extra: read whole, and known for what it is without it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from make_clips import corners_in
from make_heic import write_heic
from make_profiles import GREEN, RED, SWAPPED
from PIL import Image

from juicecap.errors import MediaError
from juicecap.media.image import image_size, read_image
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.tasks.catalog import PICTURE_SIZE
from juicecap.media.tasks.task import Work
from juicecap.media.workers.pool import DecodePool

GREYS = [250, 170, 90, 10]
TILES = [250, 170, 10, 90]
"""The same corners, row by row."""


def as_stored(width: int, height: int) -> tuple[int, int]:
    return width, height


def refusal(path: Path, rules: MediaLimits | None = None) -> MediaError:
    with pytest.raises(MediaError) as caught:
        read_image(str(path), as_stored, rules=rules or MediaLimits())
    return caught.value


def test_all_tiles_are_read(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", TILES)
    assert corners_in(read_image(str(path), as_stored)) == GREYS
    assert image_size(str(path)) == (128, 128)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.jpg", [90])
    assert read_image(str(path), as_stored)[32, 32].tolist() == pytest.approx([90] * 3, abs=3)


def test_its_profile_is_followed(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", [RED], profile=SWAPPED)
    assert read_image(str(path), as_stored)[32, 32].tolist() == pytest.approx(GREEN, abs=8)


def test_its_size_is_looked_at_before_it_is_decoded(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", [90], size=2000)
    told = f"TOO_LARGE: {path} is 2000x64, more than 127999 pixels (media_max_pixels)"
    assert str(refusal(path, MediaLimits(max_pixels=127_999))) == told
    assert refusal(path).code == "UNDECODABLE"


def test_a_damaged_one(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", TILES)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert str(refusal(path)) == f"UNDECODABLE: {path} is damaged (image file is truncated)"
    path.write_bytes(whole.replace(b"pitm", b"oops"))
    assert str(refusal(path)).startswith(f"UNDECODABLE: {path} is damaged (")


def test_without_the_extra_the_rejection_names_it_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_heic(tmp_path / "a.heic", [90])
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    error = refusal(path)
    assert str(error) == f'UNREADABLE: {path} is a HEIC picture: pip install "juicecap[heif]" installs what reads it'
    assert error.retryable


def test_it_is_no_video(tmp_path: Path) -> None:
    path = str(write_heic(tmp_path / "a.mp4", TILES))

    async def main() -> list[object]:
        pool = DecodePool(1)
        try:
            frames = pool.picture("video", path, FrameSampling(), FrameSizes())
            return await asyncio.gather(
                frames,
                pool.probe(path),
                pool.measure(PICTURE_SIZE, Work(kind="image", path=path, params={})),
                return_exceptions=True,
            )
        finally:
            await pool.close()

    frames, header, size = asyncio.run(main())
    assert str(frames) == str(header) == f"NO_VIDEO_STREAM: {path} is a HEIC picture, not a video"
    assert size == [128, 128]


def test_nothing_is_registered_with_pillow(tmp_path: Path) -> None:
    path = write_heic(tmp_path / "a.heic", [90])
    code = (
        "import sys, juicecap.media.image as image; assert 'pi_heif' not in sys.modules; "
        f"image.read_image({str(path)!r}, lambda *size: size); from PIL import Image; Image.init(); print('HEIF' in Image.OPEN)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert "HEIF" not in Image.OPEN
