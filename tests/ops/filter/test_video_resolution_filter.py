"""Videos are kept by the width and height of their upright picture."""

from __future__ import annotations

import pytest

from juicecap.errors import SettingsError
from juicecap.ops import VideoResolutionFilter


@pytest.fixture(scope="module")
def wide(tmp_path_factory, film) -> str:
    """A clip of 128x64 pixels."""
    path = tmp_path_factory.mktemp("wide") / "wide.mp4"
    film(path, "circle", "red", "black", "right", frames=2, size=(128, 64))
    return str(path)


@pytest.fixture(scope="module")
def square(clips) -> str:
    """A clip of 64x64 pixels."""
    return clips.paths[0]


def kept(samples, **settings):
    return VideoResolutionFilter(**settings)({"videos": samples})["videos"]


@pytest.mark.parametrize(
    ("settings", "which"),
    [
        ({}, "both"),
        ({"min_width": 64, "max_width": 128, "min_height": 64, "max_height": 64}, "both"),
        ({"min_width": 65}, "wide"),
        ({"max_width": 127}, "square"),
        ({"min_height": 65}, "none"),
        ({"max_height": 63}, "none"),
        ({"min_width": 128, "min_height": 65}, "none"),
    ],
)
def test_ranges(settings, which, wide, square):
    expected = {"both": [[wide], [square]], "wide": [[wide]], "square": [[square]], "none": []}[which]
    assert kept([[wide], [square]], **settings) == expected


def test_any_or_all(wide, square):
    samples = [[wide, square], [square]]
    assert kept(samples, min_width=100) == [[wide, square]]
    assert kept(samples, min_width=100, any_or_all="all") == []


def test_one_video_must_pass_in_width_and_height(wide, square):
    assert kept([[wide, square]], min_width=100, max_height=63) == []


def test_what_is_dropped_tells_its_size_and_the_limits(wide, square):
    op = VideoResolutionFilter(min_width=100, max_height=512)
    (fate,) = op.fates({"videos": [[square]]})
    assert fate.dropped.measured == {"width": 64, "height": 64}
    assert op.wanted() == {"min_width": 100, "max_height": 512}
    assert VideoResolutionFilter(min_width=0).wanted() == {}


def test_a_sample_without_videos_passes():
    assert kept([None, []], min_width=5000) == [None, []]


@pytest.mark.parametrize("side", ["width", "height"])
def test_settings_that_cannot_work(side):
    with pytest.raises(SettingsError) as caught:
        VideoResolutionFilter(**{f"min_{side}": 9, f"max_{side}": 3})
    assert caught.value.problems == [(f"min_{side}", f"min_{side} (9) is larger than max_{side} (3): nothing can pass")]
