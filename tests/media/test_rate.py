"""The rate of a film is the average of its frames, whatever its header makes of times that are not even."""

import random
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_clips import write_clip

from juicecap.media.video import probe as module
from juicecap.media.video.probe import probe

FORMATS: dict[str, dict[str, Any]] = {
    "clip.mp4": {},
    "clip.mov": {},
    "fragments.mp4": {"muxing": {"movflags": "frag_keyframe+empty_moov"}},
    "clip.mkv": {"b_frames": 3},
    "clip.webm": {"codec": "libvpx-vp9"},
    "live.webm": {"codec": "libvpx", "muxing": {"live": "1"}},
    "clip.flv": {},
    "clip.ts": {"b_frames": 2},
    "clip.avi": {"codec": "mpeg4"},
    "clip.wmv": {"codec": "wmv2"},
    "clip.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "clip.apng": {"codec": "apng", "pix_fmt": "rgb24"},
}


def uneven(count: int) -> list[int]:
    """Milliseconds, as a screen is recorded: sometimes often, sometimes seldom."""
    draw = random.Random(7)
    return list(accumulate(draw.choice([20, 30, 40, 50, 400]) for _ in range(count)))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("count", [20, 300])
def test_where_times_are_not_even_it_is_the_average(tmp_path: Path, name: str, count: int) -> None:
    stamps = uneven(count)
    info = probe(str(write_clip(tmp_path / name, count, fps=10, stamps=stamps, **FORMATS[name])))
    assert info.fps == pytest.approx(1000 * (count - 1) / (stamps[-1] - stamps[0]), rel=2.5 / count + 0.01)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("fps", [25, 30, 60])
def test_an_even_rate_is_that_of_the_header(tmp_path: Path, name: str, fps: int) -> None:
    info = probe(str(write_clip(tmp_path / name, 90, fps=fps, **FORMATS[name])))
    exact = not name.endswith(("gif", "apng"))  # which count in hundredths of a second, and in what fits
    assert info.fps == pytest.approx(fps, rel=1e-9 if exact else 0.02)


def test_the_packets_of_an_even_film_are_not_all_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = write_clip(tmp_path / "clip.mkv", 400, fps=30), []
    plain = module._packets_of
    monkeypatch.setattr(module, "_packets_of", lambda *said: (read.append(each.pts) or each for each in plain(*said)))
    assert probe(str(path)).fps == 30.0
    assert len(read) == 80


def test_wide_dv_has_the_rate_of_its_system(tmp_path: Path) -> None:
    """FFmpeg says 60,000 of it."""
    path = write_clip(tmp_path / "pal.dv", [np.full((576, 720, 3), 90, np.uint8)] * 4, codec="dvvideo", fps=25)
    assert probe(str(path)).fps == 25.0
