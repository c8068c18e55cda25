"""Fragments of paths: how they are spelled, what they mean, and what none is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from juicecap.errors import SampleError
from juicecap.fragment import WHOLE, Span, located, span_of, split, with_span

NANOSECONDS = st.integers(0, 10**15)


def spelled(nanoseconds: int, *, clock: bool, zeros: int) -> str:
    """A time as seconds or by the clock, with zeros behind its fraction."""
    seconds, fraction = divmod(nanoseconds, 10**9)
    digits = f"{fraction:09}" + "0" * zeros
    if not clock:
        return f"{seconds}.{digits}"
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{digits}"


@pytest.mark.parametrize(
    ("fragment", "start", "end"),
    [
        ("t=12.5,20", 12.5, 20.0),
        ("t=npt:12.5,20", 12.5, 20.0),
        ("t=0:00:12.5,0:00:20.0", 12.5, 20.0),
        ("t=00:12.50,00:20", 12.5, 20.0),
        ("t=12.5", 12.5, None),
        ("t=,20", 0.0, 20.0),
        ("t=1:02:03", 3723.0, None),
        ("t=0,20.", 0.0, 20.0),
    ],
)
def test_the_spellings_of_the_w3c(fragment: str, start: float, end: float | None) -> None:
    assert span_of(fragment) == Span(start=start, end=end)
    assert located(f"film.mp4#{fragment}") == ("film.mp4", Span(start=start, end=end))


@given(NANOSECONDS, NANOSECONDS, st.booleans(), st.booleans(), st.integers(0, 5))
def test_equal_spellings_are_one_span_with_one_name(one: int, other: int, clock: bool, npt: bool, zeros: int) -> None:
    start, end = sorted((one, other + 10**9))
    if start == end:
        return
    plain = Span(start=round(start / 10**9, 9), end=round(end / 10**9, 9))
    times = [spelled(each, clock=clock, zeros=zeros) for each in (start, end)]
    span = span_of(f"t={'npt:' * npt}{','.join(times)}")
    assert (span.start, span.end) == pytest.approx((plain.start, plain.end), rel=1e-15)
    assert span == span_of(f"t={spelled(start, clock=not clock, zeros=0)},{spelled(end, clock=False, zeros=1)}")
    assert span_of(str(span)) == span
    assert with_span("film.mp4", span.start, span.end) == f"film.mp4#{span}"


@given(st.text(max_size=30))
def test_whatever_stands_in_a_fragment_is_a_span_or_an_error_with_a_sentence(text: str) -> None:
    path, told = f"film.mp4#t={text}", ""
    try:
        file, span = located(path)
    except SampleError as error:
        told = str(error)
    assert told.startswith("BAD_FRAGMENT: film.mp4#t=") or (span == WHOLE if file == path else span.seconds(1e12) > 0)


def test_names_of_spans_are_short() -> None:
    assert [str(Span(start=start, end=end)) for start, end in ((12.5, 20.0), (1e-9, None), (0.0, 1e9), (0.0, None))] == [
        "t=12.5,20", "t=0.000000001", "t=,1000000000", "t=0",
    ]  # fmt: skip
    assert span_of("t=0") == WHOLE


def test_the_seconds_of_a_part() -> None:
    assert [span_of(each).seconds(9.5) for each in ("t=8.1,9.3", "t=9", "t=,3", "t=9,20", "t=9.5", "t=12,20")] == [
        1.2, 0.5, 3.0, 0.5, 0.0, -2.5,
    ]  # fmt: skip
    assert WHOLE.seconds(1 / 3) == 1 / 3


@pytest.mark.parametrize("path", ["a.mp4", "a#1.mp4", "a.mp4#t", "#t=1,2", "a#t=1/film.mp4", "a.mp4#t=1#x", "a.mp4#track=1"])
def test_paths_without_a_fragment(path: str) -> None:
    assert located(path) == (path, WHOLE)


def test_a_file_with_that_very_name_wins(tmp_path: Path) -> None:
    path = str(tmp_path / "film.mp4#t=1,2")
    assert split(path) == (str(tmp_path / "film.mp4"), "t=1,2")
    Path(path).write_bytes(b"x")
    assert located(path) == (path, WHOLE)
    assert located(f"{path}#t=3,4") == (path, Span(start=3.0, end=4.0))


@pytest.mark.parametrize(
    ("fragment", "told"),
    [
        ("t=20,12.5", "ends before it begins: the second time is not later than the first one"),
        ("t=5,5", "ends before it begins: the second time is not later than the first one"),
        ("t=", "names no time: write #t=12.5,20, #t=12.5 or #t=,20"),
        ("t=5,", "names no time: write #t=12.5,20, #t=12.5 or #t=,20"),
        ("t=1,2&xywh=0,0,9,9", "has '2&xywh=0,0,9,9' where a time should be: write seconds (12.5) or hh:mm:ss.ms (0:00:12.5)"),
        ("t=-1", "has '-1' where a time should be: write seconds (12.5) or hh:mm:ss.ms (0:00:12.5)"),
        ("t=0:61:00", "has '0:61:00' where a time should be: write seconds (12.5) or hh:mm:ss.ms (0:00:12.5)"),
        ("t=2000000000", "has the time 2000000000.0, and times are from 0 to 1,000,000,000 seconds"),
    ],
)
def test_what_is_no_part(fragment: str, told: str) -> None:
    with pytest.raises(SampleError) as caught:
        located(f"film.mp4#{fragment}")
    assert str(caught.value) == f"BAD_FRAGMENT: film.mp4#{fragment} {told}"
