"""Pictures come as a player shows them: all eight ways to lay a picture on the screen, and pixels that are not square."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make_clips import corners, corners_in, write_clip

from juicecap.media.sampling import FrameSampling
from juicecap.media.video.decode import decode_frames
from juicecap.media.video.probe import probe
from juicecap.media.video.shown.orientation import orientation_of

STORED = [250, 170, 90, 10]
"""Clockwise from the top left, as all that follow."""

WAYS = {
    "as it is": ((1, 0, 0, 1), [250, 170, 90, 10], False),
    "turned right": ((0, 1, -1, 0), [10, 250, 170, 90], True),
    "turned round": ((-1, 0, 0, -1), [90, 10, 250, 170], False),
    "turned left": ((0, -1, 1, 0), [170, 90, 10, 250], True),
    "left and right exchanged": ((-1, 0, 0, 1), [170, 250, 10, 90], False),
    "top and bottom exchanged": ((1, 0, 0, -1), [10, 90, 170, 250], False),
    "mirrored at its diagonal": ((0, 1, 1, 0), [250, 10, 90, 170], True),
    "mirrored at its other diagonal": ((0, -1, -1, 0), [90, 170, 250, 10], True),
}
"""(a, b, c, d): a stored point (x, y) is shown at (a x + c y, b x + d y), y downwards."""


@pytest.mark.parametrize("aspect", [None, Fraction(64, 45), Fraction(1, 2)], ids=str)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov"])
def test_each_way_to_lay_a_picture_with_each_kind_of_pixels(tmp_path: Path, name: str, way: str, aspect: Fraction | None) -> None:
    matrix, expected, lying = WAYS[way]
    path = write_clip(tmp_path / name, [corners(*STORED, 180, 64)] * 4, matrix=matrix, aspect=aspect)
    shown = {None: (180, 64), Fraction(64, 45): (256, 64), Fraction(1, 2): (180, 128)}[aspect]
    wanted = shown[::-1] if lying else shown
    info = probe(str(path))
    assert (info.width, info.height) == wanted
    frames = decode_frames(str(path), FrameSampling(num_frames=2), lambda _, width, height: (width, height))
    assert frames.pixels.shape == (2, *wanted[::-1], 3)
    assert [corners_in(picture) for picture in frames.pixels] == [expected, expected]


def test_wide_dv_is_shown_with_square_pixels(tmp_path: Path) -> None:
    grey = np.full((576, 720, 3), 128, np.uint8)
    path = write_clip(tmp_path / "pal.dv", [grey] * 3, codec="dvvideo", fps=25, aspect=Fraction(64, 45))
    assert (probe(str(path)).width, probe(str(path)).height) == (1024, 576)


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "clip.avi"])
def test_other_formats_say_it_too(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    path = write_clip(tmp_path / name, 4, codec=codec, aspect=Fraction(16, 11))
    assert (probe(str(path)).width, probe(str(path)).height) == (140, 64)


@pytest.mark.parametrize("aspect", [Fraction(1, 1000), Fraction(1000), Fraction(0), None])
def test_a_ratio_that_nobody_means_is_not_followed(aspect: Fraction | None) -> None:
    assert orientation_of(None, aspect).size(96, 64) == (96, 64)


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(10), (960, 64)), (Fraction(1, 10), (96, 640))])
def test_the_shorter_side_is_stretched(aspect: Fraction, size: tuple[int, int]) -> None:
    assert orientation_of(None, aspect).size(96, 64) == size
