"""Frames are counted by packets: in every container, with B-frames, uneven times, of a part, and of films that are no video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from make_clips import all_frames, picture_of, write_clip
from PIL import Image

from juicecap.errors import MediaError
from juicecap.fragment import WHOLE, Span
from juicecap.media.load import frame_times
from juicecap.media.tasks.frames import frames
from juicecap.media.tasks.medium import Medium

CLIPS: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "b_frames.mp4": {"b_frames": 2, "options": {"preset": "medium"}},
    "variable.mp4": {"stamps": [0, 40, 500, 510, 2000, 2900, *range(3000, 5400, 100)]},
    "late.mp4": {"start": 3.0},
    "fragments.mp4": {"muxing": {"movflags": "frag_keyframe+empty_moov"}},
    "clip.mkv": {"b_frames": 2},
    "clip.webm": {"codec": "libvpx-vp9"},
    "clip.ts": {},
    "clip.avi": {"codec": "mpeg4", "b_frames": 1},
    "with_sound.mp4": {"sound": 3.0},
}


@pytest.mark.parametrize("name", CLIPS)
def test_times_are_those_of_the_frames_that_are_decoded(name: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / name, 30, **CLIPS[name])
    times = frame_times(str(path))
    decoded = sorted(all_frames(path)[1])
    assert len(times) == len(decoded) == 30
    if name != "clip.avi":  # whose frames have guesses for times
        assert times == pytest.approx(decoded, abs=0.002)


@pytest.mark.parametrize("suffix", ["h264", "m2v"])
def test_raw_streams(suffix: str, tmp_path: Path) -> None:
    path = write_clip(tmp_path / f"clip.{suffix}", 30, codec={"h264": "libx264", "m2v": "mpeg2video"}[suffix], fps=25)
    assert frames(Medium(kind="video", path=str(path))) == 30


@pytest.mark.parametrize(
    ("span", "count"),
    [
        (WHOLE, 30),
        (Span(start=1.0), 20),
        (Span(end=1.0), 10),
        (Span(start=1.0, end=2.0), 10),
        (Span(start=1.05, end=1.95), 10),
        (Span(start=1.05, end=1.06), 1),
        (Span(start=2.85, end=9.0), 2),
    ],
    ids=str,
)
def test_of_a_part(span: Span, count: int, tmp_path: Path) -> None:
    """A tenth of a second each; the frame that is on screen where the part begins is one of its frames."""
    path = write_clip(tmp_path / "clip.mp4", 30)
    assert frames(Medium(kind="video", path=str(path), span=span)) == count


def test_animations_and_folders_of_pictures(tmp_path: Path) -> None:
    pictures = [Image.fromarray(picture_of(number)) for number in range(5)]
    pictures[0].save(
        tmp_path / "a.webp", save_all=True, append_images=pictures[1:], duration=[100, 200, 300, 100, 100], lossless=True
    )
    assert frame_times(str(tmp_path / "a.webp")) == [0.0, 0.1, 0.3, 0.6, 0.7]
    assert frames(Medium(kind="video", path=str(tmp_path / "a.webp"), span=Span(start=0.2, end=0.6))) == 2
    folder = tmp_path / "film"
    folder.mkdir()
    for number, picture in enumerate(pictures):
        picture.save(folder / f"{number}.png")
    assert frames(Medium(kind="video", path=str(folder)), picture_fps=2.0) == 5
    assert frames(Medium(kind="video", path=str(folder), span=Span(start=1.0)), picture_fps=2.0) == 3


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("prose")
    with pytest.raises(MediaError, match="UNREADABLE"):
        frames(Medium(kind="video", path=str(tmp_path / "a.mp4")))
