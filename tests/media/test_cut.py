"""Parts of films as files of their own: which frames, when, with what sound; equal bytes each time."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import av
import pytest
from make_clips import all_frames, write_clip

from juicecap.errors import MediaError
from juicecap.fragment import Span
from juicecap.media.tasks.cut import cut
from juicecap.media.tasks.medium import Medium
from juicecap.media.video.probe import probe


def part(source: Path, target: Path, start: float = 0.0, end: float | None = None, **options: Any) -> dict[str, Any]:
    return cut(Medium(kind="video", path=str(source), span=Span(start=start, end=end)), target=str(target), **options)


def sound_of(path: Path) -> tuple[str, float, float]:
    """The codec, the beginning and the end of the sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        times = [float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.pts is not None]
        return stream.codec_context.name, times[0], times[-1]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_the_frames_of_the_part_with_their_times(tmp_path: Path, suffix: str) -> None:
    film = write_clip(tmp_path / f"film.{suffix}", 40, b_frames=2, start=3.0)
    value = part(film, tmp_path / "cut.mp4", 1.25, 2.5)
    numbers, times = all_frames(tmp_path / "cut.mp4")
    assert numbers == list(range(12, 25))  # the one that is on screen at the start, and all that begin before the end
    assert times == pytest.approx([0.0, *(0.05 + 0.1 * n for n in range(12))], abs=2e-3)
    assert value == {"seconds": 1.25, "bytes": (tmp_path / "cut.mp4").stat().st_size, "copied": False}
    assert probe(str(tmp_path / "cut.mp4")).duration == pytest.approx(1.25, abs=2e-3)


def test_a_variable_frame_rate_stays(tmp_path: Path) -> None:
    stamps = [0, 100, 150, 900, 950, 1400, 1500, 2600]
    film = write_clip(tmp_path / "film.mkv", 8, stamps=stamps)
    part(film, tmp_path / "cut.mp4", 0.15, 1.45)
    numbers, times = all_frames(tmp_path / "cut.mp4")
    assert numbers == [2, 3, 4, 5]
    assert times == pytest.approx([0.0, 0.75, 0.8, 1.25])


def test_the_whole_film(tmp_path: Path) -> None:
    film = write_clip(tmp_path / "film.mp4", 30)
    part(film, tmp_path / "cut.mp4")
    assert all_frames(tmp_path / "cut.mp4") == all_frames(film)


def test_what_is_turned_is_upright(tmp_path: Path) -> None:
    film = write_clip(tmp_path / "film.mp4", 12, rotation=90)
    part(film, tmp_path / "cut.mp4", 0.5)
    before, after = probe(str(film)), probe(str(tmp_path / "cut.mp4"))
    assert (after.width, after.height, after.rotation) == (before.width, before.height, 0) == (64, 96, 0)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "aac"), ("webm", "opus")])
def test_sound_is_kept(tmp_path: Path, suffix: str, codec: str) -> None:
    options: dict[str, Any] = {"codec": "libvpx"} if suffix == "webm" else {}
    film = write_clip(tmp_path / f"film.{suffix}", 40, sound=4.0, **options)
    part(film, tmp_path / "cut.mp4", 1.0, 2.5)
    name, begin, end = sound_of(tmp_path / "cut.mp4")
    assert name == codec
    assert 0 <= begin < 0.03
    assert 1.4 < end < 1.5


def test_other_sound_becomes_aac(tmp_path: Path) -> None:
    film = tmp_path / "film.mkv"
    write_clip(tmp_path / "silent.mp4", 40, sound=4.0)
    with av.open(str(tmp_path / "silent.mp4")) as source, av.open(str(film), "w") as out:
        pictures, sound = out.add_stream_from_template(source.streams.video[0]), out.add_stream("pcm_s16le", rate=48000)
        for packet in source.demux():
            if packet.pts is None:
                continue
            if packet.stream.type == "video":
                packet.stream = pictures
                out.mux(packet)
            else:
                for frame in packet.decode():
                    out.mux(sound.encode(av.AudioResampler("s16", "stereo", 48000).resample(frame)[0]))
    part(film, tmp_path / "cut.mp4", 1.0, 2.5)
    name, begin, end = sound_of(tmp_path / "cut.mp4")
    assert (name, begin < 0.03, 1.4 < end < 1.5) == ("aac", True, True)


class TestCopies:
    def test_between_key_frames_nothing_is_encoded_anew(self, tmp_path: Path) -> None:
        film = write_clip(tmp_path / "film.mp4", 40, gop=10, b_frames=2, sound=4.0)
        value = part(film, tmp_path / "cut.mp4", 1.0, 3.0, copy=True)
        assert value["copied"]
        assert all_frames(tmp_path / "cut.mp4")[0] == list(range(10, 30))
        assert all_frames(tmp_path / "cut.mp4")[1] == pytest.approx([0.1 * n for n in range(20)])
        with av.open(str(film)) as whole, av.open(str(tmp_path / "cut.mp4")) as own:
            packets = [bytes(packet) for packet in whole.demux(whole.streams.video[0]) if packet.size]
            assert [bytes(packet) for packet in own.demux(own.streams.video[0]) if packet.size] == packets[10:30]

    @pytest.mark.parametrize(("start", "end", "copied"), [(1.0, None, True), (0.0, 2.0, True), (2.0, 9.0, True)])
    def test_the_ends_of_the_film_count_as_key_frames(
        self, tmp_path: Path, start: float, end: float | None, copied: bool
    ) -> None:
        film = write_clip(tmp_path / "film.mp4", 40, gop=10)
        assert part(film, tmp_path / "cut.mp4", start, end, copy=True)["copied"] is copied
        assert all_frames(tmp_path / "cut.mp4")[0] == list(range(int(10 * start), min(40, int(10 * (end or 9)))))

    @pytest.mark.parametrize(("start", "end"), [(1.1, 3.0), (1.0, 2.9), (0.5, None)])
    def test_elsewhere_it_is(self, tmp_path: Path, start: float, end: float | None) -> None:
        film = write_clip(tmp_path / "film.mp4", 40, gop=10)
        assert not part(film, tmp_path / "cut.mp4", start, end, copy=True)["copied"]
        assert all_frames(tmp_path / "cut.mp4")[0] == list(range(round(10 * start), round(10 * (end or 4.0))))


def test_equal_parts_give_equal_bytes(tmp_path: Path) -> None:
    film = write_clip(tmp_path / "film.mkv", 40, sound=4.0)
    made = set()
    for _ in range(12):
        part(film, tmp_path / "cut.mp4", 0.7, 3.1)
        made.add(hashlib.blake2b((tmp_path / "cut.mp4").read_bytes()).hexdigest())
    assert len(made) == 1


def test_a_part_behind_the_end(tmp_path: Path) -> None:
    film = write_clip(tmp_path / "film.mp4", 20)
    with pytest.raises(MediaError, match="BEHIND_THE_END"):
        part(film, tmp_path / "cut.mp4", 5.0, 6.0)
