"""Frames that nobody needs are not decoded, and nobody can tell."""

import random
from pathlib import Path

import numpy as np
import pytest
from make_clips import picture_of, write_clip

from juicecap.errors import MediaError
from juicecap.media.sampling import FrameSampling
from juicecap.media.video import reader
from juicecap.media.video.decode import Frames, decode_frames
from juicecap.media.video.probe import open_video
from juicecap.media.video.reader import FrameReader

X264 = {"preset": "veryfast", "x264-params": "b-adapt=0:scenecut=0"}

CLIPS = {
    "b-frames.mp4": {"b_frames": 3, "options": X264},
    "pyramid.mkv": {"b_frames": 7, "gop": 40, "options": X264 | {"x264-params": "b-adapt=0:b-pyramid=normal:ref=4"}},
    "flat.mov": {"b_frames": 5, "options": X264 | {"x264-params": "b-adapt=0:b-pyramid=none"}},
    "open-gop.mp4": {"b_frames": 3, "options": X264 | {"x264-params": "b-adapt=0:open-gop=1"}},
    "interlaced.ts": {"b_frames": 3, "options": X264 | {"x264-params": "b-adapt=0:tff=1"}},
    "open-gop.ts": {"b_frames": 3, "options": X264 | {"x264-params": "b-adapt=0:open-gop=1"}},
    "refresh.mp4": {"b_frames": 2, "gop": 250, "options": X264 | {"x264-params": "b-adapt=0:intra-refresh=1"}},
    "fragments.mp4": {"b_frames": 2, "muxing": {"movflags": "frag_keyframe+empty_moov"}, "options": X264},
    "clip.flv": {"b_frames": 2, "options": X264},
    "hevc.mp4": {"codec": "libx265", "b_frames": 4, "options": {"preset": "fast", "x265-params": "log-level=none:b-adapt=0"}},
    "hevc.ts": {"codec": "libx265", "b_frames": 4, "options": {"preset": "fast", "x265-params": "log-level=none:open-gop=1"}},
    "clip.avi": {"codec": "libx264", "b_frames": 2, "options": X264},
    "bare.h264": {"b_frames": 3, "options": X264},
}


def restless(count: int, seed: int) -> list[np.ndarray]:
    """Numbered pictures under noise that moves, so that every picture is made from others."""
    grain = np.random.default_rng(seed).integers(0, 60, (64, 96, 3))
    return [(picture_of(number) * 0.7 + np.roll(grain, number, (0, 1))).astype(np.uint8) for number in range(count)]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each clip at a constant and, where the format can, at a variable frame rate."""
    folder, found, draw = tmp_path_factory.mktemp("clips"), {}, random.Random(0)
    stamps = np.cumsum([draw.choice([20, 40, 40, 60, 300, 1500]) for _ in range(90)]).tolist()
    for name, how in CLIPS.items():
        found[name] = write_clip(folder / name, restless(90, 1), **{"fps": 25, **how})
        if not name.endswith(("avi", "h264", "flv")):
            found[f"variable {name}"] = write_clip(folder / f"variable {name}", restless(90, 2), stamps=stamps, **how)
    return found


def samplings(seed: int, count: int) -> list[FrameSampling]:
    draw = random.Random(seed)
    chosen = [FrameSampling(), FrameSampling(num_frames=1), FrameSampling(num_frames=200)]
    for _ in range(count):
        start, length = draw.choice([None, draw.uniform(0, 3)]), draw.choice([0.1, 0.7, 40.0])
        end = None if start is None else start + length
        chosen.append(FrameSampling(num_frames=draw.randint(1, 30), start=start, end=end))
    return chosen


def decoded(path: Path, sampling: FrameSampling) -> Frames | str:
    try:
        return decode_frames(str(path), sampling, lambda _, width, height: (width, height))
    except MediaError as error:
        return error.code


def both_ways(monkeypatch: pytest.MonkeyPatch, path: Path, sampling: FrameSampling) -> tuple[Frames | str, Frames | str]:
    quick = decoded(path, sampling)
    with monkeypatch.context() as every_frame:
        every_frame.setattr(reader, "_SKIPPING", ())
        return quick, decoded(path, sampling)


@pytest.mark.parametrize("name", [*CLIPS, *(f"variable {name}" for name in CLIPS if not name.endswith(("avi", "h264", "flv")))])
def test_the_frames_are_the_same_to_the_bit(clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for sampling in samplings(seed=len(name), count=12):
        quick, plain = both_ways(monkeypatch, clips[name], sampling)
        assert quick.times == plain.times, sampling
        assert np.array_equal(quick.pixels, plain.pixels), sampling
        assert quick.unreadable == plain.unreadable == 0


@pytest.mark.parametrize("seed", range(40))
def test_in_damaged_files_the_frames_are_the_same_and_whole_ones_stay_whole(
    clips: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draw = random.Random(seed)
    origin = clips[draw.choice(sorted(clips))]
    content = bytearray(origin.read_bytes())
    for _ in range(draw.randint(1, 6)):
        position, size = draw.randrange(len(content)), draw.choice([1, 30, 1000])
        content[position : position + size] = draw.choice([bytes(size), draw.randbytes(size)])
    path = tmp_path / origin.name
    path.write_bytes(content[: draw.choice([len(content), draw.randrange(len(content))])])
    whole = decoded(origin, FrameSampling(num_frames=20_000))
    originals = dict(zip(whole.times, whole.pixels, strict=True))
    for sampling in samplings(seed, count=4):
        quick, plain = both_ways(monkeypatch, path, sampling)
        if isinstance(plain, str):
            assert quick == plain
            continue
        assert quick.times == plain.times, sampling
        for time, one, other in zip(plain.times, quick.pixels, plain.pixels, strict=True):
            if plain.unreadable or np.array_equal(other, originals.get(time)):
                assert np.array_equal(one, other), (sampling, time)


@pytest.mark.parametrize("name", ["b-frames.mp4", "pyramid.mkv", "open-gop.ts", "hevc.mp4", "variable flat.mov"])
def test_frames_are_left_out(clips: dict[str, Path], name: str) -> None:
    def frames(wanted: float) -> int:
        with open_video(str(clips[name])) as (container, stream):
            walk, count = FrameReader(container, stream, sparing=True), 0
            walk.wanted = wanted
            while walk.advance():
                count += 1
            return count

    assert frames(-1.0) == 90
    assert frames(10_000.0) < 70
