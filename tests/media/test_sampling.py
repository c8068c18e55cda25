import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juicecap.media.sampling import TIME_TOLERANCE, FrameSampling, frame_count, frames_at, target_times, window

seconds = st.floats(0.01, 20_000, allow_nan=False)
maybe_seconds = st.none() | st.floats(0, 25_000, allow_nan=False)


@st.composite
def samplings(draw: st.DrawFn) -> FrameSampling:
    low, high = sorted((draw(st.integers(1, 64)), draw(st.integers(1, 64))))
    return FrameSampling(
        fps=draw(st.floats(0.01, 60)),
        num_frames=draw(st.none() | st.integers(1, 64)),
        min_frames=low,
        max_frames=high,
        start=draw(maybe_seconds),
        end=draw(maybe_seconds),
    )


@given(samplings(), seconds)
def test_instants_increase_and_span_the_window(sampling: FrameSampling, duration: float) -> None:
    times = target_times(sampling, duration=duration)
    begin, finish = window(sampling, duration)
    assert 0 <= begin <= finish <= duration
    assert times == sorted(times)
    assert times[0] == begin
    assert times[-1] == (finish if len(times) > 1 else begin)


@given(samplings(), seconds)
def test_instants_are_evenly_spaced(sampling: FrameSampling, duration: float) -> None:
    times = target_times(sampling, duration=duration)
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert steps == pytest.approx([(times[-1] - times[0]) / max(1, len(steps))] * len(steps), abs=1e-6)


@given(samplings(), seconds)
def test_the_number_of_instants_is_what_was_asked(sampling: FrameSampling, duration: float) -> None:
    count, (begin, finish) = len(target_times(sampling, duration=duration)), window(sampling, duration)
    if begin == finish:
        assert count == 1
    elif sampling.num_frames is not None:
        assert count == sampling.num_frames
    else:
        assert sampling.min_frames <= count <= sampling.max_frames
        assert count == frame_count(sampling, finish - begin)


@pytest.mark.parametrize(
    ("sampling", "length", "count"),
    [
        (FrameSampling(), 10.0, 20),
        (FrameSampling(), 0.3, 4),
        (FrameSampling(), 7200.0, 768),
        (FrameSampling(fps=0.5), 60.0, 30),
        (FrameSampling(fps=30.0), 1.001, 30),
        (FrameSampling(fps=1.0), 5.9, 5),
        (FrameSampling(num_frames=7, max_frames=4), 100.0, 7),
        (FrameSampling(fps=3.0), 0.1 * 3 * 10, 9),
    ],
)
def test_frame_count(sampling: FrameSampling, length: float, count: int) -> None:
    assert frame_count(sampling, length) == count


def test_instants_by_hand() -> None:
    assert target_times(FrameSampling(num_frames=5), duration=2.0) == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert target_times(FrameSampling(num_frames=3, start=1.0, end=2.0), duration=9.0) == [1.0, 1.5, 2.0]
    assert target_times(FrameSampling(num_frames=3, start=1.0), duration=2.0) == [1.0, 1.5, 2.0]
    assert target_times(FrameSampling(num_frames=1, start=1.0), duration=2.0) == [1.0]
    assert target_times(FrameSampling(num_frames=4, start=5.0), duration=2.0) == [2.0]


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=60), st.lists(st.integers(-10, 5000), max_size=30))
def test_the_frame_on_screen_is_the_last_that_is_not_later(stamps: list[int], asked: list[int]) -> None:
    timestamps, times = sorted(stamp / 1000 for stamp in stamps), sorted(time / 1000 for time in asked)
    for time, index in zip(times, frames_at(times, timestamps), strict=True):
        shown = [place for place, stamp in enumerate(timestamps) if stamp <= time + TIME_TOLERANCE]
        assert index == (shown[-1] if shown else 0)


@given(st.integers(1, 100), st.sampled_from([8, 10, 12.5, 24, 25, 30000 / 1001, 60]))
def test_as_many_instants_as_frames_show_every_frame_once(count: int, fps: float) -> None:
    times = target_times(FrameSampling(num_frames=count), duration=count / fps)
    assert frames_at(times, [index / fps for index in range(count)]) == list(range(count))


@given(st.data(), st.integers(2, 100), samplings())
def test_frames_that_repeat_may_be_left_out(data: st.DataObject, count: int, sampling: FrameSampling) -> None:
    """A variable frame rate leaves out the frames that equal the one before: the same scenes are sampled."""
    scenes = data.draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    changes = [index for index in range(count) if index == 0 or scenes[index] != scenes[index - 1]]
    times = target_times(sampling, duration=count / 10)
    constant = [scenes[index] for index in frames_at(times, [index / 10 for index in range(count)])]
    variable = [scenes[changes[index]] for index in frames_at(times, [index / 10 for index in changes])]
    assert constant == variable


def test_settings_that_contradict_themselves_are_named() -> None:
    sampling = FrameSampling(min_frames=9, max_frames=8, start=2.0, end=2.0, min_pixels=10, max_pixels=9)
    assert sampling.problems() == [
        ("min_frames", "min_frames (9) is larger than max_frames (8)"),
        ("end", "end (2.0) is not later than start (2.0)"),
        ("min_pixels", "min_pixels (10) is larger than max_pixels (9)"),
    ]
    assert FrameSampling(start=1.0, end=2.0, min_pixels=9, max_pixels=9).problems() == []


@pytest.mark.parametrize("module", ["access.files", "sampling", "digest"])
def test_opens_no_heavy_library(module: str) -> None:
    code = f"import sys, juicecap.media.{module}; print({{'av', 'numpy', 'PIL'}} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
