"""Of several video streams the film is shown, the best that there is, wherever it stands."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from make_clips import number_in, picture_of

from juicecap.errors import MediaError
from juicecap.media.rules import MediaLimits
from juicecap.media.sampling import FrameSampling
from juicecap.media.video.decode import decode_frames
from juicecap.media.video.probe import probe

Stream = tuple[str, int, int, range, int]
"""Codec, width, height, the numbers that it spells, packets in a second."""

FILM: Stream = ("libx264", 96, 64, range(100, 140), 10)
LARGE: Stream = ("libx264", 192, 128, range(200, 240), 10)
COVER: Stream = ("mjpeg", 320, 240, range(1, 2), 1)
THUMBNAILS: Stream = ("mjpeg", 320, 240, range(300, 304), 1)


def write(path: Path, streams: Sequence[Stream], default: int | None = None) -> Path:
    """A file with several video streams, their packets in the order of their times."""
    packets = []
    with av.open(str(path), "w") as container:
        for number, (codec, width, height, spelt, rate) in enumerate(streams):
            stream = container.add_stream(codec, rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if default is not None:
                stream.disposition = Disposition.default if number == default else Disposition(0)
            for index, each in enumerate(spelt):
                frame = av.VideoFrame.from_ndarray(picture_of(each, width, height), format="rgb24")
                frame.pts = index
                packets += stream.encode(frame)
            packets += stream.encode()
        for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
            container.mux(packet)
    return path


def shown(path: Path) -> list[int]:
    frames = decode_frames(str(path), FrameSampling(num_frames=2), lambda _, width, height: (width, height))
    return [number_in(picture) for picture in frames.pixels]


@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4"])
@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        ([COVER, FILM], [100, 139]),
        ([FILM, COVER], [100, 139]),
        ([THUMBNAILS, FILM], [100, 139]),
        ([COVER, (*FILM[:3], range(100, 103), 1)], [100, 102]),
        ([FILM, LARGE], [200, 239]),
        ([LARGE, FILM], [200, 239]),
        ([COVER, FILM, LARGE], [200, 239]),
        ([FILM, (*FILM[:3], range(500, 540), 10)], [100, 139]),
    ],
)
def test_the_best_film_is_shown(tmp_path: Path, name: str, streams: list[Stream], expected: list[int]) -> None:
    path = write(tmp_path / name, streams)
    assert shown(path) == expected
    assert probe(str(path)).duration == pytest.approx(3.0 if expected == [100, 102] else 4.0, abs=0.01)


@pytest.mark.parametrize("default", [0, 1])
def test_of_two_alike_the_default_is_shown(tmp_path: Path, default: int) -> None:
    path = write(tmp_path / "clip.mkv", [FILM, (*FILM[:3], range(500, 540), 10)], default)
    assert shown(path) == [[100, 139], [500, 539]][default]


def test_a_transport_stream_with_several_qualities(tmp_path: Path) -> None:
    assert shown(write(tmp_path / "clip.ts", [FILM, LARGE])) == [200, 239]


def test_the_limit_is_that_of_the_film(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", [COVER, FILM])
    rules = MediaLimits(max_pixels=96 * 64)
    assert probe(str(path), rules).width == 96
    with pytest.raises(MediaError, match="has frames of 96x64, more than 6143 pixels"):
        probe(str(path), MediaLimits(max_pixels=96 * 64 - 1))


def test_a_single_picture_without_a_film_beside_it_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", [COVER])
    frames = decode_frames(str(path), FrameSampling(num_frames=2), lambda _, width, height: (width, height))
    assert (number_in(frames.pixels[0]), len(frames.pixels)) == (1, 1)
    assert np.array_equal(frames.pixels.shape, (1, 240, 320, 3))
