"""How long a film is counts from its first frame to its last one, whatever its header says; and all of it is seen."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from make_clips import FRAGMENTS, later, number_in, write_clip

from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.video.decode import Frames, decode_frames
from juicecap.media.video.probe import probe
from juicecap.media.video.reader import FrameReader, SeekFailed

SIX = FrameSampling(num_frames=6)


def decode(path: Path, sampling: FrameSampling = SIX) -> Frames:
    return decode_frames(str(path), sampling, lambda _, width, height: (width, height))


def numbers(path: Path, sampling: FrameSampling = SIX) -> list[int]:
    return [number_in(picture) for picture in decode(path, sampling).pixels]


@pytest.mark.parametrize("start", [0.0, 10.0, 30 * 3600.0])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_fragments_count_from_their_first_frame(tmp_path: Path, start: float, b_frames: int) -> None:
    path = later(write_clip(tmp_path / "clip.mp4", 60, b_frames=b_frames, muxing=FRAGMENTS), start)
    assert probe(str(path)).duration == pytest.approx(6.0, abs=0.05)
    assert decode(path).info.duration == probe(str(path)).duration
    assert numbers(path) == pytest.approx([0, 12, 24, 36, 48, 59], abs=1)


def test_fragments_with_a_table_of_them(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 60, muxing={"movflags": "frag_keyframe+empty_moov+default_base_moof+global_sidx"})
    assert b"sidx" in path.read_bytes()[:2000]
    assert probe(str(path)).duration == pytest.approx(6.0, abs=0.01)
    assert numbers(later(path, 40.0)) == [0, 12, 24, 36, 48, 59]


@pytest.mark.parametrize("muxing", [FRAGMENTS, {}])
def test_a_header_that_promises_more_than_there_is_promises_nothing(tmp_path: Path, muxing: dict[str, str]) -> None:
    path = write_clip(tmp_path / "clip.mp4", 40, muxing=muxing)
    content = bytearray(path.read_bytes())
    place = content.index(b"mdhd")
    struct.pack_into(">I", content, place + 20, 3900 * struct.unpack_from(">I", content, place + 16)[0])
    path.write_bytes(content.replace(b"elst", b"free"))
    info = probe(str(path))
    assert (info.duration, info.missing, info.cut_off) == (pytest.approx(4.0, abs=0.01), 0.0, False)
    frames = decode(path)
    assert ([number_in(picture) for picture in frames.pixels], frames.damage) == ([0, 8, 16, 24, 32, 39], "")


def test_a_last_picture_that_stays_is_believed(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "slides.mp4", 4, stamps=[0, 1000, 2000, 9000])
    assert probe(str(path)).duration == pytest.approx(decode(path).info.duration)
    assert numbers(path) == [0, 1, 2, 3]


def test_a_live_flv_counts_from_its_first_frame(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.flv", 60, start=5608.0)
    path.write_bytes(path.read_bytes().replace(b"duration", b"durXtion"))
    assert probe(str(path)).duration == pytest.approx(6.0, abs=0.01)
    assert numbers(path) == [0, 12, 24, 36, 48, 59]


def test_a_live_flv_of_two_days_is_not_too_long(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.flv", 60, start=172_800.0)
    path.write_bytes(path.read_bytes().replace(b"duration", b"durXtion"))
    assert probe(str(path), MediaLimits(max_seconds=7.0)).duration == pytest.approx(6.0, abs=0.01)


@pytest.mark.parametrize(
    ("name", "codec", "fps"),
    [("bare.264", "libx264", 10), ("bare.h265", "libx265", 10), ("bare.m1v", "mpeg1video", 30), ("bare.m2v", "mpeg2video", 50)],
)
def test_raw_streams_are_seen_to_their_end_at_their_own_rate(tmp_path: Path, name: str, codec: str, fps: int) -> None:
    path = write_clip(tmp_path / name, 400, codec=codec, fps=fps, gop=50)
    info = probe(str(path))
    assert info.fps == pytest.approx(fps)
    assert info.duration == pytest.approx(400 / fps, rel=0.01)
    frames = decode(path, FrameSampling(num_frames=5))
    assert [number_in(picture) for picture in frames.pixels] == pytest.approx([0, 100, 200, 300, 399], abs=2)
    assert frames.times == pytest.approx([number / fps for number in (0, 100, 200, 300, 399)], abs=2.5 / fps)


def test_a_file_in_which_a_seek_fails_is_read_without_seeks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "clip.mp4", 400, gop=10)
    tried = []

    def failing(reader: FrameReader, time: float) -> bool:
        tried.append(time)
        while reader.advance():
            pass
        raise SeekFailed

    monkeypatch.setattr(FrameReader, "seek", failing)
    assert numbers(path, FrameSampling(num_frames=5)) == [0, 100, 200, 300, 399]
    assert len(tried) == 1


def test_bytes_behind_the_last_box_do_not_mean_that_the_file_is_cut_off(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 20)
    path.write_bytes(path.read_bytes() + b"\x7f\xff\xff\xffjunk that is no box")
    assert (probe(str(path)).cut_off, decode(path).damage) == (False, "")


def test_timestamps_that_start_again_go_on(tmp_path: Path) -> None:
    first, second = (write_clip(tmp_path / f"{number}.ts", 30) for number in range(2))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    info = probe(str(joined))
    assert (info.duration, info.jumps) == (pytest.approx(6.0, abs=0.01), True)
    frames = decode(joined, FrameSampling(num_frames=7))
    assert [number_in(picture) for picture in frames.pixels] == [0, 10, 20, 0, 10, 20, 29]
    assert frames.times == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.9], abs=0.01)
    assert frames.damage == ""
    assert not probe(str(first)).jumps


def test_an_avi_without_its_index_is_seen_to_its_end(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.avi", 100, codec="mpeg4", b_frames=0)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"idx1")])
    assert probe(str(path)).duration == pytest.approx(10.0)
    frames = decode(path)
    assert ([number_in(picture) for picture in frames.pixels], frames.damage) == ([0, 20, 40, 60, 80, 99], "")


@pytest.mark.parametrize("tenths", range(20, 30))
def test_the_frame_on_screen_where_an_edit_list_cuts_the_tail(tmp_path: Path, tenths: int) -> None:
    options = {"preset": "veryfast", "x264-params": "b-adapt=0:scenecut=0"}
    path = write_clip(tmp_path / "clip.mp4", 30, b_frames=3, gop=100, options=options)
    content = bytearray(path.read_bytes())
    place = content.index(b"elst")
    assert struct.unpack_from(">I", content, place + 12)[0] == 3000  # in milliseconds
    struct.pack_into(">I", content, place + 12, tenths * 100)
    path.write_bytes(content)
    frames = decode(path, FrameSampling(num_frames=3))
    assert number_in(frames.pixels[-1]) == tenths - 1
