from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from av import Packet
from make_clips import all_frames, numbers_in, picture_of, write_clip

from juicecap.errors import MediaError
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling, frames_at, target_times
from juicecap.media.video import decode, reader
from juicecap.media.video.decode import decode_frames
from juicecap.media.video.probe import probe
from juicecap.media.video.shown import scaler
from juicecap.media.workers.shared_frames import SharedFrames, mapped

IRREGULAR = [0, 40, 60, 160, 460, 480, 1480, 1520, 1560, 1860, 2060, 3060, 3100, 3140, 3340, 5340, 5360, 5400, 5500, 5600]

SAMPLINGS = [
    FrameSampling(),
    FrameSampling(num_frames=1),
    FrameSampling(num_frames=2),
    FrameSampling(num_frames=7),
    FrameSampling(fps=9.0, max_frames=100),
    FrameSampling(num_frames=200),
    FrameSampling(num_frames=4, start=1.25, end=3.75),
    FrameSampling(num_frames=3, start=4.9),
    FrameSampling(num_frames=3, start=3.3, end=3.31),
    FrameSampling(num_frames=3, start=99.0),
    FrameSampling(num_frames=2, end=2.0),
]

CLIPS = {
    "gop-12.mp4": {"gop": 12},
    "gop-250.mp4": {"gop": 250},
    "all-key.mp4": {"gop": 1},
    "b-frames.mp4": {"gop": 12, "b_frames": 3},
    "open-gop.mp4": {"gop": 12, "b_frames": 3, "options": {"preset": "veryfast", "x264-params": "open-gop=1"}},
    "fragments.mp4": {"muxing": {"movflags": "frag_keyframe+empty_moov"}, "b_frames": 2},
    "variable.mp4": {"stamps": IRREGULAR, "gop": 4, "b_frames": 2},
    "late.mp4": {"start": 5.0, "b_frames": 3},
    "hevc.mp4": {"codec": "libx265", "gop": 8},
    "b-frames.mov": {"b_frames": 3},
    "b-frames.mkv": {"gop": 12, "b_frames": 3},
    "key-at-the-end.mkv": {"gop": 59, "b_frames": 3, "options": {"preset": "veryfast", "sc_threshold": "0"}},
    "late.mkv": {"start": 5.0},
    "variable.mkv": {"stamps": IRREGULAR, "gop": 4},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "variable.webm": {"codec": "libvpx-vp9", "stamps": IRREGULAR, "gop": 4},
    "late.webm": {"codec": "libvpx-vp9", "start": 3.5},
    "sound.webm": {"codec": "libvpx-vp9", "sound": 9.0},
    "sound.mp4": {"sound": 9.0},
    "gop-12.ts": {"gop": 12},
    "b-frames.ts": {"gop": 12, "b_frames": 3},
    "late.ts": {"gop": 12, "start": 30.0},
    "mpeg2.ts": {"codec": "mpeg2video", "fps": 25, "gop": 6, "b_frames": 2},
    "mpeg4.avi": {"codec": "mpeg4"},
    "b-frames.avi": {"codec": "mpeg4", "b_frames": 2},
    "gop-12.flv": {"b_frames": 2},
    "clip.gif": {"codec": "gif", "pix_fmt": "rgb8"},
}


def as_stored(frames: int, width: int, height: int) -> tuple[int, int]:
    return width, height


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return {name: write_clip(folder / name, len(IRREGULAR) if "stamps" in how else 60, **how) for name, how in CLIPS.items()}


@pytest.mark.parametrize("name", CLIPS)
def test_the_frames_are_those_of_a_plain_decoder(clips: dict[str, Path], name: str) -> None:
    path = clips[name]
    known, stamps = all_frames(path)
    assert known == list(range(len(known)))
    duration = probe(str(path)).duration
    for sampling in SAMPLINGS:
        frames = decode_frames(str(path), sampling, as_stored)
        expected = list(dict.fromkeys(frames_at(target_times(sampling, duration=duration), stamps)))
        assert numbers_in(frames.pixels) == expected, sampling
        assert frames.times == pytest.approx([stamps[index] for index in expected], abs=1e-6)
        assert frames.unreadable == 0


@pytest.mark.parametrize("name", [name for name in CLIPS if name not in ("mpeg2.ts", "variable.mp4")])
def test_without_limits_the_first_and_the_last_frame_are_shown(clips: dict[str, Path], name: str) -> None:
    """Where the header tells the duration right; FFmpeg's own muxers are a frame short in the two that are left out."""
    taken = numbers_in(decode_frames(str(clips[name]), FrameSampling(num_frames=4), as_stored).pixels)
    assert (taken[0], taken[-1]) == (0, (len(IRREGULAR) if "stamps" in CLIPS[name] else 60) - 1)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry per packet that goes to a decoder."""
    calls: list[int] = []

    class Spy:
        def __init__(self, packet: Packet) -> None:
            self._packet = packet

        def __getattr__(self, name: str) -> object:
            return getattr(self._packet, name)

        def decode(self) -> list[av.VideoFrame]:
            calls.append(self._packet.size)
            return self._packet.decode()

    def spied(*arguments: object) -> Iterator[Spy]:
        return map(Spy, plain(*arguments))

    plain = reader.packets
    monkeypatch.setattr(reader, "packets", spied)
    return calls


LONG = {
    "long.mp4": {"b_frames": 3},
    "fragments.mp4": {"muxing": {"movflags": "frag_keyframe+empty_moov"}},
    "long.mkv": {"b_frames": 3},
    "long.ts": {"b_frames": 3},
    "long.webm": {"codec": "libvpx-vp9"},
    "long.avi": {"codec": "mpeg4"},
}


@pytest.mark.parametrize("name", LONG)
def test_long_gaps_are_sought_over(tmp_path: Path, decoded: list[int], name: str) -> None:
    path = write_clip(tmp_path / name, 1500, gop=12, **LONG[name])
    frames = decode_frames(str(path), FrameSampling(num_frames=4), as_stored)
    assert numbers_in(frames.pixels) == [0, 500, 1000, 1499]
    assert frames.times == pytest.approx([0.0, 50.0, 100.0, 149.9], abs=1e-6)
    assert len(decoded) < 250


@pytest.mark.parametrize("name", LONG)
def test_a_window_far_inside_is_sought(tmp_path: Path, decoded: list[int], name: str) -> None:
    path = write_clip(tmp_path / name, 1500, gop=12, **LONG[name])
    frames = decode_frames(str(path), FrameSampling(num_frames=3, start=120.0, end=121.0), as_stored)
    assert numbers_in(frames.pixels) == [1200, 1205, 1210]
    assert len(decoded) < 120


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_where_key_frames_are_far_apart_little_is_decoded_twice(tmp_path: Path, decoded: list[int], suffix: str) -> None:
    path = write_clip(tmp_path / f"long.{suffix}", 1500, gop=400, options={"sc_threshold": "0"})
    frames = decode_frames(str(path), FrameSampling(num_frames=16), as_stored)
    assert numbers_in(frames.pixels) == [*range(0, 1500, 100), 1499]
    assert len(decoded) < 3000


def test_only_frames_that_are_taken_are_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled = []
    plain = scaler.VideoReformatter

    class Spy:
        def __init__(self) -> None:
            self._plain = plain()

        def reformat(self, frame: av.VideoFrame, **options: object) -> av.VideoFrame:
            scaled.append(options["width"])
            return self._plain.reformat(frame, **options)

    monkeypatch.setattr(scaler, "VideoReformatter", Spy)
    path = write_clip(tmp_path / "clip.mp4", 200)
    frames = decode_frames(str(path), FrameSampling(num_frames=5), lambda count, width, height: (48, 32))
    assert frames.pixels.shape == (5, 32, 48, 3)
    assert scaled == [48] * 5
    assert numbers_in(frames.pixels) == [0, 50, 100, 150, 199]


def test_the_size_rule_sees_the_number_of_instants_and_the_upright_size(tmp_path: Path) -> None:
    seen = []

    def size(frames: int, width: int, height: int) -> tuple[int, int]:
        seen.append((frames, width, height))
        return width // 2, height // 2

    path = write_clip(tmp_path / "clip.mp4", rotation=90)
    frames = decode_frames(str(path), FrameSampling(num_frames=6), size)
    assert seen == [(6, 64, 96)]
    assert frames.pixels.shape == (6, 48, 32, 3)


@pytest.mark.parametrize("name", ["one.mp4", "one.mkv", "one.webm", "one.ts", "one.avi", "one.gif"])
def test_one_frame_is_a_video(tmp_path: Path, name: str) -> None:
    how = {"webm": {"codec": "libvpx"}, "avi": {"codec": "mpeg4"}, "gif": {"codec": "gif", "pix_fmt": "rgb8"}}
    path = write_clip(tmp_path / name, [picture_of(77)], **how.get(name[4:], {}))
    frames = decode_frames(str(path), FrameSampling(), as_stored)
    assert (numbers_in(frames.pixels), frames.times, frames.unreadable) == ([77], (0.0,), 0)


def test_a_stream_without_timestamps(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "bare.h264", 50, fps=25, b_frames=3)
    frames = decode_frames(str(path), FrameSampling(num_frames=3), as_stored)
    assert numbers_in(frames.pixels) == [0, 25, 49]
    assert frames.times == pytest.approx([0.0, 1.0, 1.96])


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [
        ("libx264", "yuv444p"),
        ("libx264", "yuv420p10le"),
        ("libx264", "yuv422p"),
        ("ffv1", "gray"),
        ("ffv1", "yuva420p"),
    ],
)
def test_deep_and_full_colour(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    path = write_clip(tmp_path / "clip.mkv", 12, codec=codec, pix_fmt=pix_fmt)
    assert numbers_in(decode_frames(str(path), FrameSampling(num_frames=12), as_stored).pixels) == list(range(12))


def test_odd_sizes(tmp_path: Path) -> None:
    pictures = [picture_of(number, 97, 63) for number in range(10)]
    path = write_clip(tmp_path / "clip.mkv", pictures, codec="libx264", pix_fmt="yuv444p")
    frames = decode_frames(str(path), FrameSampling(num_frames=10), as_stored)
    assert frames.pixels.shape == (10, 63, 97, 3)
    assert numbers_in(frames.pixels) == list(range(10))
    assert numbers_in(decode_frames(str(path), FrameSampling(num_frames=3), lambda *_: (53, 31)).pixels) == [0, 5, 9]


@pytest.mark.parametrize(
    ("pix_fmt", "color"), [("yuv420p", (200, 40, 60)), ("yuvj420p", (30, 180, 90)), ("yuv444p", (20, 60, 220))]
)
def test_colours_come_out(tmp_path: Path, pix_fmt: str, color: tuple[int, int, int]) -> None:
    picture = np.full((64, 96, 3), color, np.uint8)
    path = write_clip(tmp_path / "clip.mp4", [picture] * 5, pix_fmt=pix_fmt)
    pixels = decode_frames(str(path), FrameSampling(num_frames=1), lambda *_: (28, 28)).pixels
    assert np.abs(pixels.astype(int) - color).max() <= 6


def test_frames_that_are_too_large_are_not_decoded(tmp_path: Path, decoded: list[int]) -> None:
    path = write_clip(tmp_path / "clip.mp4")
    with pytest.raises(MediaError, match=r"TOO_LARGE: .*clip.mp4 has frames of 96x64, more than 6143 pixels"):
        decode_frames(str(path), FrameSampling(), as_stored, rules=MediaLimits(max_pixels=6143))
    assert decoded == []
    assert len(decode_frames(str(path), FrameSampling(), as_stored, rules=MediaLimits(max_pixels=6144)).times) == 6


@pytest.mark.parametrize(
    "name", ["http:x.mp4", "a b\nc.mp4", "📼 käse.mp4", "%05d.mp4", "-i.mp4", "concat:a|b.mp4", "x?y=1#z.mp4"]
)
def test_any_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", 20).rename(name)
    assert numbers_in(decode_frames(name, FrameSampling(num_frames=2), as_stored).pixels) == [0, 19]
    assert probe(str(tmp_path / name)).duration == 2.0


def test_the_size_is_chosen_for_the_frames_that_there_are(tmp_path: Path) -> None:
    asked = []
    path = tmp_path / "short.mp4"
    write_clip(path, 5)

    def size(frames: int, width: int, height: int) -> tuple[int, int]:
        asked.append(frames)
        return width, height

    assert len(decode_frames(str(path), FrameSampling(num_frames=100), size).pixels) == 5
    assert len(decode_frames(str(path), FrameSampling(num_frames=3), size).pixels) == 3
    assert asked == [5, 3]


@pytest.mark.parametrize("room", ["in memory", "shared"])
def test_more_frames_than_the_header_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: str) -> None:
    monkeypatch.setattr(decode, "most_frames", lambda instants, **_: 3)
    path, shared = write_clip(tmp_path / "clip.mp4", 20), SharedFrames()
    allocate = shared.allocate if room == "shared" else decode.in_memory
    frames = decode_frames(str(path), FrameSampling(num_frames=10), as_stored, allocate=allocate)
    assert numbers_in(frames.pixels) == [0, 2, 4, 6, 8, 11, 13, 15, 17, 19]
    if room == "shared":
        assert np.array_equal(mapped(shared.fd, frames.pixels.shape), frames.pixels)
    shared.close()
