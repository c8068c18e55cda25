"""What is transparent in a film lies on white, as in pictures."""

from pathlib import Path

import av
import numpy as np
import pytest

from juicecap.media.sampling import FrameSampling
from juicecap.media.video.decode import decode_frames

CODECS = {"clip.mov": ("png", "rgba"), "clip.mkv": ("ffv1", "yuva444p"), "deep.mov": ("prores_ks", "yuva444p10le")}


def film(path: Path, pixels: np.ndarray, codec: str, pix_fmt: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = pix_fmt
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def first(path: Path, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    return decode_frames(str(path), FrameSampling(num_frames=1), lambda *_: size).pixels[0].astype(int)


@pytest.mark.parametrize("name", CODECS)
def test_films_lie_on_white(tmp_path: Path, name: str) -> None:
    pixels = np.zeros((64, 96, 4), np.uint8)
    pixels[:, :32] = (200, 40, 60, 255)
    pixels[:, 32:64] = (200, 40, 60, 128)
    pixels[:, 64:] = (10, 220, 30, 0)
    seen = first(film(tmp_path / name, pixels, *CODECS[name]))
    expected = [(200, 40, 60), (227, 147, 157), (255, 255, 255)]
    assert np.abs(seen[32, [16, 48, 80]] - expected).max() <= 6


def test_what_lies_under_transparent_parts_does_not_bleed(tmp_path: Path) -> None:
    """Every other column is transparent and black underneath; scaled down, white and red mix."""
    pixels = np.zeros((64, 96, 4), np.uint8)
    pixels[:, ::2] = (255, 0, 0, 255)
    seen = first(film(tmp_path / "clip.mov", pixels, "png", "rgba"), (24, 16))
    assert np.abs(seen[8, 4:20] - (255, 128, 128)).max() <= 12


def test_what_is_nowhere_transparent_is_as_without_alpha(tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 255, (64, 96, 4), np.uint8)
    pixels[..., 3] = 255
    opaque = first(film(tmp_path / "opaque.mov", pixels, "png", "rgba"), (40, 30))
    plain = first(film(tmp_path / "plain.mov", pixels, "png", "rgb24"), (40, 30))
    assert np.abs(opaque - plain).max() <= 1
