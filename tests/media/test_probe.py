from pathlib import Path

import av
import numpy as np
import pytest
from make_clips import corners, corners_in, number_in, picture_of, write_clip
from PIL import Image

from juicecap.errors import EnvironmentFailure, MediaError
from juicecap.media.sampling import FrameSampling
from juicecap.media.video.decode import decode_frames
from juicecap.media.video.probe import VideoInfo, probe


def test_all_facts(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", 45, fps=15)
    assert probe(str(path)) == VideoInfo(duration=3.0, fps=15.0, width=96, height=64, frames=45, codec="h264", rotation=0)


def test_webm_does_not_count_its_frames(tmp_path: Path) -> None:
    info = probe(str(write_clip(tmp_path / "clip.webm", 30, codec="libvpx-vp9")))
    assert (info.duration, info.frames, info.codec) == (3.0, None, "vp9")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.webm", "clip.ts", "clip.mov", "clip.flv", "clip.wmv"])
@pytest.mark.parametrize("start", [0.0, 2.0])
def test_duration_counts_from_the_first_frame(tmp_path: Path, name: str, start: float) -> None:
    codec = {"webm": "libvpx", "wmv": "wmv2"}.get(name[5:], "libx264")
    path = write_clip(tmp_path / name, 30, codec=codec, start=start)
    assert probe(str(path)).duration == pytest.approx(3.0, abs=0.002)


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "libx264"), ("clip.mkv", "libx264"), ("clip.webm", "libvpx")])
def test_longer_sound_does_not_lengthen_the_video(tmp_path: Path, name: str, codec: str) -> None:
    path = write_clip(tmp_path / name, 20, codec=codec, sound=5.0)
    assert probe(str(path)).duration == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("name", ["clip.webm", "clip.mkv"])
def test_a_live_recording_without_a_duration_is_measured(tmp_path: Path, name: str) -> None:
    path = write_clip(tmp_path / name, 30, codec="libvpx", muxing={"live": "1"}, start=1.0)
    with av.open(str(path)) as container:
        assert container.duration is None
    assert probe(str(path)).duration == pytest.approx(3.0, abs=0.11)
    frames = decode_frames(str(path), FrameSampling(num_frames=3), lambda _, width, height: (width, height))
    assert [number_in(picture) for picture in frames.pixels] in ([0, 15, 29], [0, 14, 29])


def test_variable_frame_rate(tmp_path: Path) -> None:
    info = probe(str(write_clip(tmp_path / "clip.mp4", 4, stamps=[0, 100, 2000, 3900])))
    assert info.duration >= 3.9
    assert info.fps == pytest.approx(4 / info.duration)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.mkv"])
@pytest.mark.parametrize(
    ("turn", "rotation", "upright"),
    [
        (0, 0, [250, 170, 90, 10]),
        (90, 270, [170, 90, 10, 250]),
        (180, 180, [90, 10, 250, 170]),
        (270, 90, [10, 250, 170, 90]),
    ],
)
def test_turned_pictures_stand_upright(tmp_path: Path, name: str, turn: int, rotation: int, upright: list[int]) -> None:
    """`turn` is counter-clockwise: what is stored at the top right is shown at the top left after 90 degrees."""
    path = write_clip(tmp_path / name, [corners(250, 170, 90, 10, 96, 64)] * 5, rotation=turn)
    info = probe(str(path))
    wanted = (64, 96) if turn in (90, 270) else (96, 64)
    assert (info.rotation, info.width, info.height) == (rotation, *wanted)
    frames = decode_frames(str(path), FrameSampling(num_frames=2), lambda _, width, height: (width // 2, height // 2))
    assert frames.pixels.shape == (2, wanted[1] // 2, wanted[0] // 2, 3)
    assert [corners_in(picture) for picture in frames.pixels] == [upright, upright]


def _with_cover(path: Path, video: Path | None) -> Path:
    """A file with a cover picture and a video, or sound if there is none."""
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        if video is None:
            sound = container.add_stream("aac", rate=48000)
        else:
            source = av.open(str(video))
            copy = container.add_stream_from_template(source.streams.video[0])
        picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 200, np.uint8), format="rgb24")
        container.mux(cover.encode(picture))
        container.mux(cover.encode())
        if video is None:
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            frame.sample_rate = 48000
            container.mux([*sound.encode(frame), *sound.encode()])
        else:
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = copy
                    container.mux(packet)
            source.close()
    return path


def test_a_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    path = _with_cover(tmp_path / "covered.mp4", write_clip(tmp_path / "clip.mp4", 20))
    with av.open(str(path)) as container:
        assert {stream.codec_context.name for stream in container.streams.video} == {"mjpeg", "h264"}
    assert (probe(str(path)).codec, probe(str(path)).width) == ("h264", 96)
    frames = decode_frames(str(path), FrameSampling(num_frames=2), lambda _, width, height: (width, height))
    assert [number_in(picture) for picture in frames.pixels] == [0, 19]


def test_a_song_with_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = _with_cover(tmp_path / "song.mp4", None)
    _refused(path, "NO_VIDEO_STREAM", "has no video stream")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
        frame.sample_rate = 48000
        container.mux([*stream.encode(frame), *stream.encode()])
    _refused(path, "NO_VIDEO_STREAM", "has no video stream")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("noise.mp4", np.random.default_rng(1).bytes(20_000)),
        ("prose.mp4", b"It was a dark and stormy night.\n" * 300),
        ("prose.txt", b"It was a dark and stormy night.\n" * 300),
        ("page.mp4", b"<!DOCTYPE html><html><body>404 Not Found</body></html>"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:3,\nclip.ts\n#EXT-X-ENDLIST\n"),
        ("list.mp4", b"ffconcat version 1.0\nfile clip.ts\n"),
        ("nul.mp4", bytes(5000)),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    write_clip(tmp_path / "clip.ts")
    path = tmp_path / name
    path.write_bytes(content)
    _refused(path, "UNREADABLE", "is not a video")


def test_the_beginning_alone_is_refused(tmp_path: Path) -> None:
    """An mp4 that was cut off has no table of contents: it stands at the end."""
    whole = write_clip(tmp_path / "clip.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    _refused(path, "UNREADABLE", "is not a video that can be read (Invalid data found when processing input)")


def test_a_picture_file_is_a_video_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    Image.fromarray(picture_of(9)).save(path)
    frames = decode_frames(str(path), FrameSampling(), lambda _, width, height: (width, height))
    assert ([number_in(picture) for picture in frames.pixels], frames.times) == ([9], (0.0,))


def _refused(path: Path, code: str, sentence: str) -> None:
    for use in (probe, lambda name: decode_frames(name, FrameSampling(), lambda _, width, height: (width, height))):
        with pytest.raises(MediaError) as caught:
            use(str(path))
        assert caught.value.code == code
        assert caught.value.message.startswith(f"{path} {sentence}")
        assert not caught.value.retryable


def test_an_ffmpeg_that_cannot_read_open_files_is_no_fault_of_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_clip(tmp_path / "clip.mp4", 3)
    plain = av.open
    monkeypatch.setattr(av, "open", lambda name, **options: plain(name.replace("fd:", "nosuch:"), **options))
    with pytest.raises(EnvironmentFailure, match=r"^this FFmpeg cannot read an open file \(its protocol fd\): install av from "):
        probe(str(path))
