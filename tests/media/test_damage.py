"""Files that were cut off or changed on the way: what can be read comes out at its right time, the rest is counted."""

from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from make_clips import numbers_in, packets_of, write_clip

from juicecap.errors import MediaError
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.video import packets as media_packets
from juicecap.media.video.decode import Frames, decode_frames
from juicecap.media.video.packets import MAX_STUMBLES
from juicecap.media.video.probe import probe

EVERY = FrameSampling(fps=10.0, max_frames=1000)


def decode(path: Path, sampling: FrameSampling = EVERY, max_damage: float = 0.5) -> Frames:
    rules = MediaLimits(max_damage=max_damage)
    return decode_frames(str(path), sampling, lambda _, width, height: (width, height), rules=rules)


def damage(path: Path, *packets: int) -> Path:
    """Overwrite whole packets with zeros."""
    content = bytearray(path.read_bytes())
    places = packets_of(path)
    for packet in packets:
        position, size = places[packet]
        content[position : position + size] = bytes(size)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_damaged_packets_are_passed_over_and_counted(tmp_path: Path, suffix: str) -> None:
    frames = decode(damage(write_clip(tmp_path / f"clip.{suffix}", 60, gop=1), 20, 21, 40))
    assert numbers_in(frames.pixels) == [number for number in range(60) if number not in (20, 21, 40)]
    assert frames.times == pytest.approx([number / 10 for number in numbers_in(frames.pixels)])
    assert frames.unreadable == 3


def test_a_damaged_beginning_does_not_shift_the_times(tmp_path: Path) -> None:
    frames = decode(damage(write_clip(tmp_path / "clip.mp4", 30, gop=1), 0, 1))
    assert numbers_in(frames.pixels) == list(range(2, 30))
    assert frames.times == pytest.approx([number / 10 for number in range(2, 30)])
    assert frames.unreadable == 2


def test_a_damaged_end_is_counted(tmp_path: Path) -> None:
    frames = decode(damage(write_clip(tmp_path / "clip.mp4", 30, gop=1), 28, 29))
    assert numbers_in(frames.pixels) == list(range(28))
    assert frames.unreadable == 2


def test_damage_that_is_sought_over_is_not_met(tmp_path: Path) -> None:
    path = damage(write_clip(tmp_path / "clip.mp4", 400, gop=1), 150)
    frames = decode(path, FrameSampling(num_frames=3))
    assert (numbers_in(frames.pixels), frames.unreadable) == ([0, 200, 399], 0)


def test_a_seek_that_ends_in_damage_still_finds_the_frame(tmp_path: Path) -> None:
    path = damage(write_clip(tmp_path / "clip.mp4", 400, gop=1), *range(170, 190))
    frames = decode(path, FrameSampling(num_frames=3))
    assert numbers_in(frames.pixels) == [0, 200, 399]
    assert frames.unreadable <= 20


def test_each_damaged_packet_is_counted_once_however_often_it_is_met(tmp_path: Path) -> None:
    path = damage(write_clip(tmp_path / "clip.mp4", 400, gop=1), *range(2, 395))
    frames = decode(path, FrameSampling(num_frames=9), max_damage=1.0)
    assert set(numbers_in(frames.pixels)) <= {0, 1, 395, 396, 397, 398, 399}
    assert frames.unreadable <= 393


def test_every_packet_damaged(tmp_path: Path) -> None:
    path = damage(write_clip(tmp_path / "clip.mp4", 12, gop=1), *range(12))
    with pytest.raises(MediaError) as caught:
        decode(path)
    assert str(caught.value) == f"UNDECODABLE: {path}: not one frame can be decoded (12 damaged packets)"
    assert probe(str(path)).duration == pytest.approx(1.2)


def test_a_file_that_was_cut_off_counts_what_its_index_has_behind_the_end(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 60, gop=1, muxing={"movflags": "faststart"})
    position, _ = packets_of(path)[35]
    path.write_bytes(path.read_bytes()[:position])
    frames = decode(path)
    assert numbers_in(frames.pixels) == list(range(35))
    assert frames.times == pytest.approx([number / 10 for number in range(35)])
    assert (frames.unreadable, frames.info.frames, frames.info.duration, frames.info.missing) == (25, 35, 3.5, 2.5)
    assert frames.damage == "the file is cut off; 25 packets cannot be read; 42% of the frames asked for are lost"


def test_few_frames_of_a_file_that_was_cut_off(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 600, muxing={"movflags": "faststart"}, b_frames=3)
    position, _ = packets_of(path)[350]
    path.write_bytes(path.read_bytes()[:position])
    frames = decode(path, FrameSampling(num_frames=7))
    assert len(numbers_in(frames.pixels)) == 7
    assert numbers_in(frames.pixels) == pytest.approx([0, 58, 116, 175, 233, 291, 349], abs=4)
    assert 240 <= frames.unreadable <= 251  # the index tells decoding times: those near the cut may be counted as read


def test_a_seek_behind_the_cut_counts_no_more_than_is_missing(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 600, gop=1, muxing={"movflags": "faststart"})
    position, _ = packets_of(path)[350]
    path.write_bytes(path.read_bytes()[:position])
    frames = decode(path, FrameSampling(num_frames=3))
    assert (numbers_in(frames.pixels), frames.unreadable) == ([0, 175, 349], 250)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("clip.mkv", {}),
        ("clip.webm", {"codec": "libvpx"}),
        ("clip.ts", {}),
        ("clip.avi", {"codec": "mpeg4"}),
        ("clip.mp4", {"muxing": {"movflags": "frag_keyframe+empty_moov"}}),
    ],
)
def test_the_first_half_of_other_files(tmp_path: Path, name: str, how: dict) -> None:
    path = write_clip(tmp_path / name, 100, **how)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = decode(path)
    assert len(numbers_in(frames.pixels)) >= 15
    assert numbers_in(frames.pixels) == list(range(len(numbers_in(frames.pixels))))
    assert frames.times == pytest.approx([number / 10 for number in numbers_in(frames.pixels)])


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.webm", "clip.avi"])
@pytest.mark.parametrize("seed", range(8))
def test_flipped_bits_give_frames_or_a_media_error(tmp_path: Path, name: str, seed: int) -> None:
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(name[5:], "libx264")
    path = write_clip(tmp_path / name, 60, codec=codec)
    content, draw = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for place in draw.integers(200, len(content), 20):
        content[place] ^= 1 << int(draw.integers(8))
    path.write_bytes(content)
    for sampling in (EVERY, FrameSampling(num_frames=4)):
        with suppress(MediaError):
            frames = decode(path, sampling)
            assert len(frames.times) == len(frames.pixels) > 0


def test_a_demuxer_that_fails_for_ever_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck:
        tries = 0

        def demux(self, stream: object) -> object:
            self.tries += 1
            raise av.error.InvalidDataError(1094995529, "stuck")
            yield

    stuck, stumbles = Stuck(), []
    with av.open(str(write_clip(tmp_path / "clip.mp4"))) as container:
        read = list(media_packets.packets(stuck, container.streams.video[0], lambda: stumbles.append(1)))
    assert [packet.size for packet in read] == [0]
    assert (stuck.tries, len(stumbles)) == (MAX_STUMBLES, MAX_STUMBLES)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.webm", "clip.avi", "clip.flv", "clip.ts", "fragments.mp4"])
def test_a_file_cut_in_half_says_so(tmp_path: Path, name: str) -> None:
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(name[5:], "libx264")
    flags = "frag_keyframe+empty_moov" if name.startswith("frag") else "faststart"
    path = write_clip(tmp_path / name, 100, codec=codec, muxing={"movflags": flags} if name.endswith("mp4") else {})
    assert decode(path, FrameSampling(num_frames=6)).damage == ""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 7])
    frames = decode(path, FrameSampling(num_frames=6), max_damage=1.0)
    assert frames.damage.startswith("the file is cut off")
    assert frames.info.duration == probe(str(path)).duration
    assert len(frames.times) == 6
    assert frames.times[-1] >= frames.info.duration - 0.25
    assert 1.5 < frames.info.duration < 7.5


def test_what_is_left_is_sampled_again_if_the_tail_cannot_be_decoded(tmp_path: Path) -> None:
    path = damage(write_clip(tmp_path / "clip.mp4", 60, gop=1), *range(40, 60))
    frames = decode(path, FrameSampling(num_frames=6))
    assert numbers_in(frames.pixels) == [0, 8, 16, 24, 32, 39]
    assert frames.info.duration == pytest.approx(4.0)
    assert frames.damage == "20 packets cannot be read; 33% of the frames asked for are lost"


@pytest.mark.parametrize(("max_damage", "refused"), [(0.5, False), (0.49, True), (0.0, True), (1.0, False)])
def test_the_limit_on_damage_is_inclusive(tmp_path: Path, max_damage: float, refused: bool) -> None:
    path = damage(write_clip(tmp_path / "clip.mp4", 40, gop=1), *range(20, 40))
    if not refused:
        assert numbers_in(decode(path, FrameSampling(num_frames=4), max_damage).pixels) == [0, 6, 13, 19]
        return
    with pytest.raises(MediaError) as caught:
        decode(path, FrameSampling(num_frames=4), max_damage)
    words = f"20 packets cannot be read; 50% of the frames asked for are lost, more than {max_damage:.0%} (media_max_damage)"
    assert str(caught.value) == f"DAMAGED: {path} is damaged: {words}"
