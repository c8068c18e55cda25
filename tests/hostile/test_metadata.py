"""What files say about themselves: tags, rates and counts that no film has. Facts are sane, or the file is refused."""

from __future__ import annotations

import math
import time
import warnings
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from make_clips import write_clip
from PIL import Image

from juicecap.errors import MediaError
from juicecap.media.image import image_size, read_image
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling, most_frames, shown_times, target_times
from juicecap.media.sizes import FrameSizes, PixelBudget
from juicecap.media.video.extent import Evidence, header_duration
from juicecap.media.video.probe import LONGEST, VideoInfo, info_of, probe
from juicecap.media.video.reader import FrameReader, frame_rate

INTS = st.integers(-(2**31), 2**31 - 1)
STAMPS = st.none() | st.integers(-(2**63), 2**63 - 1)
RATES = st.none() | st.builds(Fraction, INTS, INTS.filter(bool))
CLOCKS = st.sampled_from(["99999999999:00:00", f"{'9' * 5000}:00:00", f"00:00:{'9' * 400}", "-1:00:00", "٣:00:00", "nan", "1:2"])


def said(**facts: Any) -> tuple[Any, Any]:
    """A container and its stream, as far as their headers are looked at."""
    codec = SimpleNamespace(width=96, height=64, name="h264", sample_aspect_ratio=None)
    plain = {"duration": None, "time_base": None, "start_time": None, "average_rate": None, "guessed_rate": None, "frames": 0}
    container = SimpleNamespace(format=SimpleNamespace(name="matroska,webm", flags=0), duration=facts.get("whole"))
    more = {"metadata": {}, "codec_context": codec, "index_entries": (), "container": container, "sample_aspect_ratio": None}
    stream = SimpleNamespace(**{**plain, **more, **facts})
    return container, stream


@settings(max_examples=500, suppress_health_check=list(HealthCheck))
@given(
    duration=STAMPS,
    time_base=RATES.map(lambda rate: abs(rate) if rate else None),
    start_time=STAMPS,
    average_rate=RATES,
    guessed_rate=RATES,
    sample_aspect_ratio=RATES,
    frames=st.integers(-(2**63), 2**63 - 1),
    clock=CLOCKS | st.text(max_size=12),
    whole=STAMPS,
)
def test_whatever_a_header_says_its_facts_are_sane(clock: str, whole: int | None, **facts: Any) -> None:
    container, stream = said(metadata={"DURATION": clock}, whole=whole, **facts)
    found = header_duration(container, stream)
    assert found is None or isinstance(found, float)
    rate = frame_rate(stream)
    assert 0 < rate < math.inf
    reader: Any = SimpleNamespace(fps=rate, upcoming=None, encrypted=0, origin=0.0)
    if found is None:
        return  # then the packets are counted
    told: VideoInfo | str
    try:
        with patch("juicecap.media.video.probe._packets_of", lambda *_: iter(())):
            told = info_of("a.mp4", (container, stream), reader, Evidence(size=0), MediaLimits(max_seconds=math.inf))
    except MediaError as error:
        told = error.code
    if isinstance(told, VideoInfo):
        assert 0 < told.duration <= LONGEST
        assert told.frames is None or told.frames > 0
        assert 96 * 64 <= told.width * told.height <= 10 * 96 * 64
    else:
        assert told == "TOO_LARGE"


@pytest.mark.parametrize("clock", ["99999999999:00:000", "0:0:999999999999999", "00:99999999999999:"])
def test_a_tag_that_lies_about_the_duration(tmp_path: Path, clock: str) -> None:
    path = write_clip(tmp_path / "clip.mkv", 30)
    content = path.read_bytes()
    assert content.count(b"00:00:03.000000000") == 1
    path.write_bytes(content.replace(b"00:00:03.000000000", clock.encode().ljust(18)[:18]))
    found: VideoInfo | str
    try:
        found = probe(str(path))
    except MediaError as error:
        found = error.code
    assert found == "TOO_LARGE" or (isinstance(found, VideoInfo) and found.duration == pytest.approx(3.0, abs=0.2))


def test_a_film_of_one_picture_a_century_is_too_long(tmp_path: Path) -> None:
    container, stream = said(average_rate=Fraction(1, 2**31 - 1), duration=1, time_base=Fraction(1, 1000))
    reader: Any = SimpleNamespace(fps=frame_rate(stream), upcoming=None, encrypted=0, origin=0.0)
    with pytest.raises(MediaError, match=r"^TOO_LARGE: a\.mp4 lasts 2147483647 seconds, more than 86400 \(media_max_seconds\)$"):
        info_of("a.mp4", (container, stream), reader, Evidence(size=0), MediaLimits())


@given(st.floats(-LONGEST, LONGEST), st.floats(1 / 2**31, 2**31), st.floats(-(2**63), 2**63))
def test_a_time_beyond_what_a_film_can_count_to_is_its_last(time: float, base: float, origin: float) -> None:
    reader = FrameReader.__new__(FrameReader)
    reader.base, reader._origin = base, origin * base
    assert -(2**63) < reader._stamp(time) < 2**63


SAMPLINGS = st.builds(
    FrameSampling,
    fps=st.floats(1e-308, 1000.0),
    num_frames=st.none() | st.integers(1, 5000),
    min_frames=st.integers(1, 50),
    max_frames=st.integers(50, 5000),
    start=st.none() | st.floats(0, allow_nan=False),
    end=st.none() | st.floats(1e-308, allow_nan=False),
)


@settings(max_examples=500)
@given(SAMPLINGS, st.floats(1e-9, LONGEST), st.floats(1e-9, 1e9), st.none() | st.integers(1, 2**63))
def test_instants_of_any_video_are_as_many_as_asked_and_in_it(
    sampling: FrameSampling, duration: float, fps: float, frames: int | None
) -> None:
    times = target_times(sampling, duration=duration)
    assert 0 < len(times) <= 5000
    assert all(0 <= time <= duration for time in times)
    assert times == sorted(times)
    assert 0 < most_frames(len(times), duration=duration, fps=fps, frames=frames) <= len(times)
    assert 0 < len(shown_times(sampling, duration=duration, fps=fps, frames=frames)) <= len(times)


BUDGETS = st.builds(
    PixelBudget,
    factor=st.sampled_from([14, 28, 32]),
    shortest=st.sampled_from([1, 3136, 65536]),
    longest=st.sampled_from([65536, 12_845_056, 25_165_824]),
    whole_video=st.booleans(),
    frame_tokens=st.none() | st.integers(1, 1024),
    video_tokens=st.none() | st.integers(1, 16384),
)


@settings(max_examples=500)
@given(
    st.none() | BUDGETS,
    st.integers(1, 100_000),
    st.integers(1, 60_000),
    st.integers(1, 60_000),
    st.none() | st.integers(1, 10**8),
    st.none() | st.integers(1, 10**8),
)
def test_pictures_of_any_size_have_a_size_to_scale_to(
    budget: PixelBudget | None, frames: int, width: int, height: int, least: int | None, most: int | None
) -> None:
    sampling = FrameSampling(min_pixels=least, max_pixels=most)
    try:
        size = FrameSizes(video=budget, image=budget).size("video", frames, width, height, sampling)
    except MediaError as error:
        size = error.code
    assert size == "TOO_NARROW" or (isinstance(size, tuple) and min(size) > 0)


@pytest.mark.filterwarnings("error")
def test_exif_that_says_anything(tmp_path: Path) -> None:
    """Orientations that are none, and of a type that no orientation has."""
    began = time.monotonic()
    for number, value in enumerate([0, 9, 65535, (6, 6), (1, 2, 3, 4, 5, 6, 7, 8, 9)]):
        exif = Image.Exif()
        exif[0x0112] = value
        path = tmp_path / f"{number}.jpg"
        with warnings.catch_warnings(action="ignore"):
            Image.new("RGB", (8, 4)).save(path, exif=exif)
        assert image_size(str(path)) in ((8, 4), (4, 8))
        assert read_image(str(path), lambda width, height: (width, height)).shape in ((4, 8, 3), (8, 4, 3))
    assert time.monotonic() - began < 60


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**6), st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6))
def test_pictures_with_bytes_changed_anywhere(tmp_path: Path, seed: int, changes: list[tuple[float, bytes]]) -> None:
    name = ["a.jpg", "a.png", "a.gif", "a.tiff", "a.webp", "a.bmp"][seed % 6]
    path = tmp_path / name
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.effect_noise((24, 16), 60).convert("RGB").save(path, **({"exif": exif} if name[2:] in ("jpg", "png", "webp") else {}))
    content = bytearray(path.read_bytes())
    for place, data in changes:
        start = int(place * len(content))
        content[start : start + len(data)] = data
    path.write_bytes(content)
    codes = set()
    for look in (image_size, lambda path: read_image(path, lambda width, height: (min(width, 64), min(height, 64)))):
        try:
            look(str(path))
        except MediaError as error:
            codes.add(error.code)
    assert codes <= {"UNREADABLE", "UNDECODABLE", "TOO_LARGE"}
