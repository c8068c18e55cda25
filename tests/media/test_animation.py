"""Animated pictures are films: their frames with their times, on white where they are transparent."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_clips import number_in, picture_of
from PIL import Image

from juicecap.errors import MediaError
from juicecap.media.load import load_frames, video_info
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.workers.pool import DecodePool

HOW: dict[str, dict[str, Any]] = {
    "clip.webp": {"lossless": True, "minimize_size": False},
    "clip.avif": {"quality": 90},
    "clip.png": {},
    "clip.gif": {"disposal": 2},
}


def write(path: Path, pictures: list[Image.Image], durations: int | list[int] = 100) -> Path:
    first, *others = pictures
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, **HOW[f"clip{path.suffix}"])
    return path


def numbered(count: int) -> list[Image.Image]:
    return [Image.fromarray(picture_of(number)) for number in range(count)]


def loaded(path: Path, rules: MediaLimits | None = None, **sampling: Any) -> Any:
    return load_frames("video", str(path), FrameSampling(**sampling), FrameSizes(), rules=rules or MediaLimits())


@pytest.mark.parametrize("name", HOW)
def test_all_frames_come_with_their_times(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, numbered(10))
    info = video_info(str(path))
    assert (info.width, info.height, info.duration) == (96, 64, pytest.approx(1.0, abs=0.02))
    assert info.fps == pytest.approx(10, rel=0.03)
    frames = loaded(path, num_frames=40)
    assert [number_in(picture) for picture in frames.pixels] == list(range(10))
    assert frames.times == pytest.approx([number / 10 for number in range(10)], abs=0.002)
    assert (frames.damage, frames.unreadable) == ("", 0)
    assert [number_in(picture) for picture in loaded(path, num_frames=3).pixels] == [0, 5, 9]


@pytest.mark.parametrize("name", [name for name in HOW if not name.endswith("png")])
def test_frames_that_last_differently_long(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, numbered(4), [100, 1000, 200, 700])
    info = video_info(str(path))
    assert (info.duration, info.frames) == (pytest.approx(2.0), 4)
    assert info.fps == pytest.approx(2.0)
    assert [number_in(picture) for picture in loaded(path, num_frames=5).pixels] == [0, 1, 3]
    assert [number_in(picture) for picture in loaded(path, num_frames=2, start=0.2, end=1.2).pixels] == [1, 2]


def test_a_frame_that_lasts_no_time_is_shown_as_browsers_do(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.webp", numbered(5), 0)
    assert video_info(str(path)).duration == pytest.approx(0.5)


@pytest.mark.parametrize("name", HOW)
def test_what_is_transparent_lies_on_white(tmp_path: Path, name: str) -> None:
    """Each frame has a hole in its middle, which is black underneath, and a bar that moves."""
    pictures = []
    for number in range(3):
        pixels = np.full((64, 96, 4), (200, 200, 0, 255), np.uint8)
        pixels[:, 32 * number : 32 * number + 32] = (20, 40, 200, 255)
        pixels[24:40, 8:88] = 0
        pictures.append(Image.fromarray(pixels))
    frames = loaded(write(tmp_path / name, pictures), num_frames=3)
    for number, picture in enumerate(frames.pixels):
        expected = [(20, 40, 200) if number == place else (200, 200, 0) for place in range(3)]
        assert np.abs(picture[10, [16, 48, 80]].astype(int) - expected).max() <= 12
        assert picture[32, [16, 48, 80]].min() >= 250


@pytest.mark.parametrize("name", ["clip.webp", "clip.avif"])
def test_they_are_scaled_to_what_is_wanted(tmp_path: Path, name: str) -> None:
    frames = loaded(write(tmp_path / name, numbered(6)), num_frames=6, max_pixels=48 * 32)
    assert frames.pixels.shape == (6, 32, 48, 3)
    assert [number_in(picture) for picture in frames.pixels] == list(range(6))


@pytest.mark.parametrize("name", ["clip.webp", "clip.avif"])
@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ({"max_pixels": 6143}, "has frames of 96x64, more than 6143 pixels (media_max_pixels)"),
        ({"max_frames": 9}, "has 10 frames, more than 9 (media_max_frames)"),
        ({"max_seconds": 0.9}, "lasts 1 seconds, more than 0.9 (media_max_seconds)"),
    ],
)
def test_limits_are_those_of_films(tmp_path: Path, name: str, limit: dict[str, Any], sentence: str) -> None:
    path = write(tmp_path / name, numbered(10))
    for use in (lambda rules: video_info(str(path), rules), lambda rules: loaded(path, rules)):
        with pytest.raises(MediaError) as caught:
            use(MediaLimits(**limit))
        assert (caught.value.code, caught.value.message) == ("TOO_LARGE", f"{path} {sentence}")


def _with_damage(path: Path, frame: int) -> Path:
    """A WebP of which one frame's picture is noise."""
    data, place = bytearray(path.read_bytes()), 12
    for _ in range(frame + 1):
        place = data.index(b"ANMF", place + 1)
    begin, end = place + 37, place + 8 + int.from_bytes(data[place + 4 : place + 8], "little")  # behind the header of VP8L
    data[begin:end] = bytes([0x5A]) * (end - begin)
    path.write_bytes(data)
    return path


def test_damage_is_told(tmp_path: Path) -> None:
    path = _with_damage(write(tmp_path / "clip.webp", numbered(10)), 6)
    frames = loaded(path, num_frames=11)
    assert [number_in(picture) for picture in frames.pixels] == list(range(6))
    assert frames.damage == "1 packet cannot be read; 45% of the frames asked for are lost"
    with pytest.raises(MediaError, match=r"^DAMAGED: .*clip\.webp is damaged: 1 packet .*\(media_max_damage\)$"):
        loaded(path, MediaLimits(max_damage=0.3), num_frames=11)


def test_without_a_first_frame_there_is_nothing(tmp_path: Path) -> None:
    path = _with_damage(write(tmp_path / "clip.webp", numbered(10)), 0)
    with pytest.raises(MediaError, match=r"^UNDECODABLE: .*clip\.webp is damaged"):
        loaded(path)


@pytest.mark.parametrize("length", range(8, 32, 4))
def test_a_header_that_is_cut_off_is_no_film(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "clip.webp", numbered(3))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(MediaError, match=r"^(UNREADABLE|UNDECODABLE): "):
        loaded(path)


@pytest.mark.parametrize("name", ["clip.webp", "clip.avif"])
def test_half_a_file_is_damaged(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, numbered(10))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError) as caught:
        loaded(path, num_frames=10)
    assert caught.value.code in ("DAMAGED", "UNDECODABLE", "UNREADABLE")


@pytest.mark.parametrize("name", ["still.webp", "still.avif"])
def test_a_still_picture_is_a_film_of_one_frame(tmp_path: Path, name: str) -> None:
    numbered(6)[5].save(tmp_path / name, quality=90)
    frames = loaded(tmp_path / name)
    assert ([number_in(picture) for picture in frames.pixels], frames.times) == ([5], (0.0,))


def test_the_workers_read_them(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.webp", numbered(10))

    async def read() -> tuple[Any, Any]:
        pool = DecodePool(1)
        try:
            frames = await pool.picture("video", str(path), FrameSampling(num_frames=3), FrameSizes())
            return await pool.probe(str(path)), frames
        finally:
            await pool.close()

    info, frames = asyncio.run(read())
    assert (info.codec, info.frames, info.fps) == ("webp", 10, 10.0)
    assert [number_in(picture) for picture in frames.pixels] == [0, 5, 9]
