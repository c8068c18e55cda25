from pathlib import Path

import numpy as np
import pytest
from make_clips import corners, corners_in, number_in, packets_of, write_clip
from PIL import Image

from juicecap.errors import MediaError
from juicecap.media.load import load_frames
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import PixelBudget


class Halves:
    """Sizes that remember what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def size(self, kind: str, frames: int, width: int, height: int, sampling: FrameSampling) -> tuple[int, int]:
        self.asked.append((kind, frames, width, height, sampling))
        return width // 2, height // 2


def test_a_video(tmp_path: Path) -> None:
    backend, sampling = Halves(), FrameSampling(num_frames=3, max_pixels=77)
    path = write_clip(tmp_path / "clip.mp4", 40)
    picture = load_frames("video", str(path), sampling, backend)
    assert backend.asked == [("video", 3, 96, 64, sampling)]
    assert picture.pixels.shape == (3, 32, 48, 3)
    assert [number_in(pixels) for pixels in picture.pixels] == [0, 20, 39]
    assert picture.times == pytest.approx((0.0, 2.0, 3.9))
    assert (picture.duration, picture.unreadable) == (4.0, 0)


def test_what_could_not_be_read_is_passed_on(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 10, gop=1)
    content, (position, size) = bytearray(path.read_bytes()), packets_of(path)[4]
    content[position : position + size] = bytes(size)
    path.write_bytes(content)
    picture = load_frames("video", str(path), FrameSampling(num_frames=10), Halves())
    assert [number_in(pixels) for pixels in picture.pixels] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert picture.unreadable == 1


def test_an_image(tmp_path: Path) -> None:
    backend, path = Halves(), tmp_path / "a.png"
    Image.fromarray(corners(250, 170, 90, 10, 96, 64)).save(path)
    picture = load_frames("image", str(path), FrameSampling(), backend)
    assert backend.asked == [("image", 1, 96, 64, FrameSampling())]
    assert picture.pixels.shape == (1, 32, 48, 3)
    assert corners_in(picture.pixels[0]) == [250, 170, 90, 10]
    assert picture.times == ()


@pytest.mark.parametrize("kind", ["video", "image"])
def test_a_shape_that_no_processor_takes_is_an_error_of_the_medium(tmp_path: Path, kind: str) -> None:
    class Real(Halves):
        def size(self, kind: str, frames: int, width: int, height: int, sampling: FrameSampling) -> tuple[int, int]:
            return PixelBudget(factor=28, shortest=3136, longest=100_000).size(frames, width, height)

    ribbon = np.zeros((2, 800, 3), np.uint8)
    path = tmp_path / ("a.png" if kind == "image" else "a.mkv")
    if kind == "image":
        Image.fromarray(ribbon).save(path)
    else:
        write_clip(path, [ribbon] * 3, codec="ffv1")
    with pytest.raises(MediaError, match="TOO_NARROW: a picture of 800x2 is more than 200 times as long as wide"):
        load_frames(kind, str(path), FrameSampling(), Real())


def test_the_medium_s_own_size_is_told(tmp_path: Path) -> None:
    note = Image.Exif()
    note[0x0112] = 6
    Image.new("RGB", (96, 64)).save(tmp_path / "a.jpg", exif=note)
    assert load_frames("image", str(tmp_path / "a.jpg"), FrameSampling(), Halves()).stored_size == (64, 96)
    assert load_frames("video", str(write_clip(tmp_path / "a.mp4", 3)), FrameSampling(), Halves()).stored_size == (96, 64)
