"""HDR is shown as SDR, by the formulas of the standards: each is written down here once more, for one number."""

from pathlib import Path

import av
import numpy as np
import pytest
from make_clips import write_clip

from juicecap.media.load import load_frames
from juicecap.media.sampling import FrameSampling
from juicecap.media.sizes import FrameSizes
from juicecap.media.video.decode import Frames, decode_frames
from juicecap.vlm.base import ModelSettings, Prepared, Request
from juicecap.vlm.outcomes import answered

UNSPECIFIED, BT709, BT2020, PQ, HLG, BT2020_10 = 2, 1, 9, 16, 18, 14

GREYS = [0.0, 0.1, 1.0, 5.0, 26.0, 50.0, 100.0, 203.0, 400.0, 1000.0, 4000.0, 10000.0]
COLOURS = [
    (203.0, 0.0, 0.0),
    (0.0, 100.0, 0.0),
    (10.0, 20.0, 300.0),
    (150.0, 120.0, 90.0),
    (4000.0, 2000.0, 1000.0),
    (90.0, 100.0, 110.0),
]


def pq_signal(nits: float) -> float:
    """ST 2084's inverse EOTF."""
    power = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def nits_of(signal: float) -> float:
    root = signal ** (1 / 78.84375)
    return 10000 * (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def eetf(nits: float) -> float:
    """BT.2390: 10,000 nits to 203."""
    e1, most = pq_signal(nits), pq_signal(203)
    knee = 1.5 * most - 0.5
    if e1 >= knee:
        t = (e1 - knee) / (1 - knee)
        e1 = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return nits_of(e1)


def in_bt709(red: float, green: float, blue: float) -> list[float]:
    """BT.2087: linear light of BT.2020 as that of BT.709."""
    return [
        1.6605 * red - 0.5876 * green - 0.0728 * blue,
        -0.1246 * red + 1.1329 * green - 0.0083 * blue,
        -0.0182 * red - 0.1006 * green + 1.1187 * blue,
    ]


def encoded(light: float) -> float:
    """BT.1886 the other way round; `light` 1 is white."""
    return 255 * min(max(light, 0), 1) ** (1 / 2.4)


def shown_pq(colour: tuple[float, float, float], *, wide: bool = True) -> list[float]:
    light = in_bt709(*colour) if wide else list(colour)
    brightest = min(max(light), 10000)
    return [encoded(each * eetf(brightest) / brightest / 203) if brightest else 0 for each in light]


def film(path: Path, signals: list[list[float]], *, trc: int, primaries: int, matrix: int = BT2020) -> Path:
    """Patches of 16x16 side by side, each of one RGB signal (0 to 1), as YUV by BT.2020's matrix, coded without a loss."""
    picture = np.empty((16, 16 * len(signals), 3), np.uint16)
    for number, (red, green, blue) in enumerate(signals):
        luma = 0.2627 * red + 0.6780 * green + 0.0593 * blue
        yuv = 64 + 876 * luma, 512 + 896 * (blue - luma) / 1.8814, 512 + 896 * (red - luma) / 1.4746
        picture[:, 16 * number : 16 * number + 16] = np.rint(np.array(yuv) * 64)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = picture.shape[1], 16, "yuv444p16le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = trc, primaries, matrix, 1
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv444p16le")
            frame.pts = number
            frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = trc, primaries, matrix, 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def patches(path: Path, count: int) -> tuple[np.ndarray, Frames]:
    frames = decode_frames(str(path), FrameSampling(num_frames=2), lambda _, width, height: (width, height))
    assert np.array_equal(frames.pixels[0], frames.pixels[-1])
    return np.array([frames.pixels[0, 8, 16 * number + 8] for number in range(count)], int), frames


@pytest.mark.parametrize("primaries", [BT2020, UNSPECIFIED])
def test_greys_of_pq_follow_the_curve(tmp_path: Path, primaries: int) -> None:
    signals = [[pq_signal(nits)] * 3 for nits in GREYS]
    seen, frames = patches(film(tmp_path / "pq.mkv", signals, trc=PQ, primaries=primaries), len(GREYS))
    assert frames.tone_mapped
    expected = [shown_pq((nits, nits, nits)) for nits in GREYS]
    assert np.abs(seen - expected).max() <= 2, seen
    assert seen[0].tolist() == [0, 0, 0]
    assert seen[-1].tolist() == [255, 255, 255]
    assert 175 <= seen[GREYS.index(203.0)].min() <= seen[GREYS.index(203.0)].max() <= 225


@pytest.mark.parametrize("matrix", [BT2020, UNSPECIFIED])
def test_colours_of_pq_follow_the_curve_and_the_gamut(tmp_path: Path, matrix: int) -> None:
    signals = [[pq_signal(nits) for nits in colour] for colour in COLOURS]
    seen, _ = patches(film(tmp_path / "pq.mkv", signals, trc=PQ, primaries=BT2020, matrix=matrix), len(COLOURS))
    assert np.abs(seen - [shown_pq(colour) for colour in COLOURS]).max() <= 3, seen


def test_pq_in_the_colours_of_bt709_keeps_them(tmp_path: Path) -> None:
    signals = [[pq_signal(nits) for nits in colour] for colour in COLOURS]
    seen, frames = patches(film(tmp_path / "pq.mkv", signals, trc=PQ, primaries=BT709), len(COLOURS))
    assert frames.tone_mapped
    assert np.abs(seen - [shown_pq(colour, wide=False) for colour in COLOURS]).max() <= 3, seen


@pytest.mark.parametrize("trc", [HLG, BT2020_10])
def test_hlg_and_sdr_in_bt2020_keep_their_tones_and_get_the_colours_of_bt709(tmp_path: Path, trc: int) -> None:
    signals = [[0.0] * 3, [0.3] * 3, [0.75] * 3, [1.0] * 3, [0.8, 0.2, 0.1], [0.1, 0.7, 0.3], [0.5, 0.6, 0.7]]
    seen, frames = patches(film(tmp_path / "wide.mkv", signals, trc=trc, primaries=BT2020), len(signals))
    assert not frames.tone_mapped
    expected = [[encoded(each) for each in in_bt709(*(signal**2.4 for signal in patch))] for patch in signals]
    assert np.abs(seen - expected).max() <= 3, seen


def test_sdr_is_left_alone(tmp_path: Path) -> None:
    picture = np.full((64, 96, 3), (200, 40, 60), np.uint8)
    frames = decode_frames(
        str(write_clip(tmp_path / "sdr.mp4", [picture] * 4)),
        FrameSampling(num_frames=1),
        lambda _, width, height: (width, height),
    )
    assert not frames.tone_mapped
    assert np.abs(frames.pixels[0, 32, 48].astype(int) - (200, 40, 60)).max() <= 6


def test_large_frames_are_converted_in_bands_that_fit_together(tmp_path: Path) -> None:
    """Taller than what is converted at once."""
    signals = [[pq_signal(nits)] * 3 for nits in GREYS]
    path = film(tmp_path / "pq.mkv", signals, trc=PQ, primaries=BT2020)
    tall = decode_frames(str(path), FrameSampling(num_frames=1), lambda *_: (192, 3000)).pixels[0]
    assert (tall == tall[:1]).all()


def test_that_it_was_tone_mapped_travels_with_the_frames_to_the_outcome(tmp_path: Path) -> None:
    hdr = film(tmp_path / "pq.mkv", [[0.5] * 3], trc=PQ, primaries=BT2020)
    sdr = write_clip(tmp_path / "sdr.mp4", 3)
    told = {path: load_frames("video", str(path), FrameSampling(num_frames=2), FrameSizes()) for path in (hdr, sdr)}
    assert [frames.tone_mapped for frames in told.values()] == [True, False]
    request = Request(model=ModelSettings(model="m"), messages=())
    for pictures, expected in (([sdr, hdr], True), ([sdr, sdr], False)):
        prepared = Prepared(request=request, pictures=tuple(told[path] for path in pictures), seed=0)
        assert answered(prepared, [], prompt_tokens=0, revision="").tone_mapped is expected
