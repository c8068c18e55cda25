"""What parts of messages say of their frames."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from loguru import logger

from juicecap.errors import SampleError
from juicecap.media.sampling import FrameSampling
from juicecap.ops.captioning.part_frames import read_part_frames

OP = FrameSampling(fps=1.0, num_frames=9, start=0.5)


def applied(part: dict[str, Any], *, listed: bool = False, frames: FrameSampling = OP, kind: str = "video") -> FrameSampling:
    return read_part_frames(part, kind, "messages", listed=listed).applied(frames, listed=listed)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({}, OP),
        ({"fps": None, "nframes": None}, OP),
        ({"fps": 4}, FrameSampling(fps=4.0, start=0.5)),
        ({"nframes": 16.0}, FrameSampling(fps=1.0, num_frames=16, start=0.5)),
        ({"video_start": 1, "video_end": 4}, FrameSampling(fps=1.0, num_frames=9, start=1.0, end=4.0)),
        ({"min_pixels": 100, "max_pixels": 200}, FrameSampling(fps=1.0, num_frames=9, start=0.5, min_pixels=100, max_pixels=200)),
        ({"min_frames": 2, "max_frames": 6}, FrameSampling(fps=1.0, num_frames=9, start=0.5, min_frames=2, max_frames=6)),
        ({"sample_fps": 5}, FrameSampling(fps=1.0, num_frames=9, start=0.5, picture_fps=5.0)),
    ],
)
def test_a_part_wins_over_the_op(part: dict[str, Any], expected: FrameSampling) -> None:
    assert applied(part) == expected
    assert isinstance(applied(part).fps, float)


@pytest.mark.parametrize(
    ("part", "rate", "number"),
    [({}, 2.0, None), ({"fps": 4}, 4.0, None), ({"sample_fps": 5}, 5.0, None), ({"fps": 4, "nframes": 2}, 4.0, 2)],
)
def test_a_list_has_a_rate_and_is_shown_whole(part: dict[str, Any], rate: float, number: int | None) -> None:
    expected = FrameSampling(fps=rate, picture_fps=rate, num_frames=number)
    assert applied(part, listed=True, frames=FrameSampling(fps=1.0)) == expected


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"fps": "fast"}, "fps must be float > 0 or null, not 'fast'"),
        ({"fps": True}, "fps must be float > 0 or null, not True"),
        ({"fps": 10**5000}, "fps must be at most 1000, not a huge int"),
        ({"nframes": -2}, "nframes must be int > 0 or null, not -2"),
        ({"nframes": 2.5}, "nframes must be int > 0 or null, not 2.5"),
        ({"video_start": -1.0}, "video_start must be float >= 0 or null, not -1"),
        ({"video_end": float("nan")}, "video_end must be float > 0 or null, not nan"),
        ({"max_pixels": [1]}, "max_pixels must be int > 0 or null, not [1]"),
        ({"fps": 1, "nframes": 2}, "fps and nframes exclude each other: set one of them"),
    ],
)
def test_what_no_frame_can_be_taken_by(part: dict[str, Any], told: str) -> None:
    with pytest.raises(SampleError) as caught:
        applied(part)
    assert (caught.value.code, caught.value.message) == (
        "BAD_FRAME_SETTINGS",
        f"a part of the conversation cannot be followed: {told}",
    )


def test_a_list_has_one_rate() -> None:
    assert applied({"fps": 2, "sample_fps": 2.0}, listed=True).picture_fps == 2.0
    with pytest.raises(SampleError, match=r"fps \(4\) and sample_fps \(2\) are both the rate of the pictures: set one of them$"):
        applied({"fps": 4, "sample_fps": 2}, listed=True)


def test_what_is_not_kept_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    sink = logger.add(sys.stdout, level="WARNING", format="{message}")
    for _ in range(2):
        assert applied({"total_pixels": 9, "resized_height": 8, "resized_width": 7}) == OP
        assert applied({"fps": 3, "max_pixels": 100}, kind="image") == FrameSampling(
            fps=1.0, num_frames=9, start=0.5, max_pixels=100
        )
    logger.remove(sink)
    assert capsys.readouterr().out.splitlines() == [
        f"parts of column 'messages' set {what}, which is not kept: it changes no frame here"
        for what in ("total_pixels of videos", "resized_height of videos", "resized_width of videos", "fps of images")
    ]
