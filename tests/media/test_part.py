"""Parts of films are sampled, measured and limited as if each were a file of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from make_clips import numbers_in, packets_of, picture_of, write_clip
from PIL import Image

from juicecap.errors import MediaError
from juicecap.fragment import Span
from juicecap.media.load import load_frames, video_info
from juicecap.media.picture import MediaFrames
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.video import reader
from juicecap.media.workers.pool import DecodePool


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A film of a hundred pictures, ten in a second."""
    return str(write_clip(tmp_path_factory.mktemp("film") / "film.mp4", 100, b_frames=2))


def loaded(path: Path | str, span: Span, rules: MediaLimits | None = None, **sampling: Any) -> MediaFrames:
    return load_frames("video", str(path), FrameSampling(**sampling), FrameSizes(), span=span, rules=rules or MediaLimits())


def refused(path: Path | str, span: Span, rules: MediaLimits | None = None) -> str:
    with pytest.raises(MediaError) as looked_at:
        video_info(str(path), rules or MediaLimits(), span=span)
    with pytest.raises(MediaError) as decoded:
        loaded(path, span, rules)
    assert str(decoded.value) == str(looked_at.value)
    return str(decoded.value)


@pytest.mark.parametrize("sampling", [{}, {"num_frames": 7}, {"fps": 30.0}, {"start": 0.5, "end": 1.2}, {"start": 9.0}])
@pytest.mark.parametrize(("first", "behind"), [(0, 20), (13, 37), (60, 100)])
def test_a_part_is_what_a_file_of_its_pictures_would_be(
    film: str, tmp_path: Path, first: int, behind: int, sampling: dict[str, Any]
) -> None:
    alone = write_clip(tmp_path / "alone.mp4", map(picture_of, range(first, behind)))
    expected = load_frames("video", str(alone), FrameSampling(**sampling), FrameSizes())
    part = loaded(film, Span(start=first / 10, end=behind / 10), **sampling)
    assert numbers_in(part.pixels) == numbers_in(expected.pixels)
    assert part.times == pytest.approx(expected.times, abs=1e-6)
    assert part.duration == pytest.approx(expected.duration)


@pytest.mark.parametrize(
    ("span", "numbers", "times"),
    [
        (Span(start=1.05, end=1.3), [10, 11, 12], (0.0, 0.05, 0.15)),
        (Span(start=9.85), [98, 99], (0.0, 0.05)),
        (Span(end=0.2), [0, 1], (0.0, 0.1)),
        (Span(start=9.8, end=60.0), [98, 99], (0.0, 0.1)),
    ],
)
def test_it_begins_with_the_frame_on_screen_and_ends_before_its_end(
    film: str, span: Span, numbers: list[int], times: tuple[float, ...]
) -> None:
    part = loaded(film, span, num_frames=20)
    assert numbers_in(part.pixels) == numbers
    assert part.times == pytest.approx(times, abs=1e-6)


def test_it_is_decoded_from_the_nearest_key_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "long.mp4", 900, gop=10)
    decoded = 0
    frames_of = reader.FrameReader._frames_of

    def counted(self: reader.FrameReader, packet: Any) -> Any:
        nonlocal decoded
        decoded += packet.size > 0
        return frames_of(self, packet)

    monkeypatch.setattr(reader.FrameReader, "_frames_of", counted)
    assert numbers_in(loaded(path, Span(start=80.0, end=80.4), num_frames=4).pixels) == [800, 801, 802, 803]
    assert decoded < 60


def test_what_begins_behind_the_end_is_refused(film: str) -> None:
    told = f"BEHIND_THE_END: {film} lasts 10.00 seconds, and the part #t=12,14 begins behind its end"
    assert refused(film, Span(start=12.0, end=14.0)) == told
    assert refused(film, Span(start=10.0)).endswith("the part #t=10 begins behind its end")


def test_the_limit_of_seconds_concerns_the_part(film: str) -> None:
    rules = MediaLimits(max_seconds=2.0)
    assert loaded(film, Span(start=7.0, end=9.0), rules).duration == 2.0
    assert refused(film, Span(start=7.0), rules) == f"TOO_LARGE: {film} lasts 3 seconds, more than 2 (media_max_seconds)"


def test_damage_concerns_the_part(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "cut.mp4", 100, gop=1, muxing={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: packets_of(path)[50][0]])
    whole = loaded(path, Span(start=1.0, end=3.0), num_frames=20)
    assert (numbers_in(whole.pixels), whole.damage, whole.duration) == (list(range(10, 30)), "", 2.0)
    half = loaded(path, Span(start=4.0, end=6.0), MediaLimits(max_damage=0.6), num_frames=10)
    assert half.damage.startswith("the file is cut off; ")
    assert half.damage.endswith("50% of the frames asked for are lost")
    assert (numbers_in(half.pixels), half.duration) == (list(range(40, 50)), 1.0)
    assert refused(path, Span(start=6.0)) == (
        f"BEHIND_THE_END: {path} lasts 5.00 seconds, and the part #t=6 begins behind its end"
    )


@pytest.mark.parametrize("name", ["film.webp", "film.avif", "film.gif", "film.png"])
def test_parts_of_animations(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    first, *others = (Image.fromarray(picture_of(number)) for number in range(10))
    how = {"quality": 90} if name.endswith("avif") else {"lossless": True, "disposal": 2} if not name.endswith("png") else {}
    first.save(path, save_all=True, append_images=others, duration=100, loop=0, **how)
    part = loaded(path, Span(start=0.35, end=0.7), num_frames=10)
    assert numbers_in(part.pixels) == [3, 4, 5, 6]
    assert part.times == pytest.approx((0.0, 0.05, 0.15, 0.25), abs=0.002)
    assert video_info(str(path), MediaLimits(max_seconds=0.5), span=Span(start=0.6)).duration == pytest.approx(0.4, abs=0.02)
    assert refused(path, Span(start=5.0)).startswith(f"BEHIND_THE_END: {path} lasts 1.0")


def test_parts_of_films_of_pictures(tmp_path: Path) -> None:
    for number in range(12):
        Image.fromarray(picture_of(number)).save(tmp_path / f"{number}.png")
    part = loaded(tmp_path, Span(start=1.0, end=3.0), MediaLimits(max_seconds=2.0), fps=10.0)
    assert (numbers_in(part.pixels), part.times, part.duration) == ([2, 3, 4, 5], (0.0, 0.5, 1.0, 1.5), 2.0)
    assert refused(tmp_path, Span(start=6.0)).endswith("lasts 6.00 seconds, and the part #t=6 begins behind its end")


def test_the_processes_that_decode_know_them(film: str) -> None:
    async def both() -> Any:
        pool, span = DecodePool(1), Span(start=2.0, end=2.3)
        try:
            return await pool.picture("video", film, FrameSampling(), FrameSizes(), span=span), await pool.probe(film, span=span)
        finally:
            await pool.close()

    frames, info = asyncio.run(both())
    assert (numbers_in(frames.pixels), info.duration) == ([20, 21, 22], pytest.approx(0.3))
