"""Ranges of filters: open and closed ends, reversed, without limits; as Data-Juicer's filters judge."""

from __future__ import annotations

import itertools

import pytest

from juicecap.errors import SettingsError
from juicecap.ops import TextLengthFilter, VideoDurationFilter, VideoResolutionFilter
from juicecap.ops.options.range_options import RangeOptions

LENGTHS = range(7)


def by_definition(value: int, low: int | None, high: int | None, low_closed: bool, high_closed: bool, reverse: bool) -> bool:
    """Data-Juicer's judgement: reversed, the ends change sides first, so that a closed end passes either way."""
    if reverse:
        low_closed, high_closed = not low_closed, not high_closed
    above = low is None or (value >= low if low_closed else value > low)
    below = high is None or (value <= high if high_closed else value < high)
    return (above and below) != reverse


@pytest.mark.parametrize(("low", "high"), [(2, 4), (3, 3), (0, 6), (2, None), (None, 4), (None, None)])
def test_it_is_the_definition(low: int | None, high: int | None) -> None:
    for ends in itertools.product([True, False], repeat=3):
        options = RangeOptions(min_closed_interval=ends[0], max_closed_interval=ends[1], reversed_range=ends[2])
        assert [options.in_range(value, low, high) for value in LENGTHS] == [
            by_definition(value, low, high, *ends) for value in LENGTHS
        ], ends


@pytest.mark.parametrize(
    ("settings", "lengths"),
    [
        ({}, [2, 3, 4]),
        ({"min_closed_interval": False}, [3, 4]),
        ({"max_closed_interval": False}, [2, 3]),
        ({"reversed_range": True}, [0, 1, 2, 4, 5, 6]),
        ({"reversed_range": True, "min_closed_interval": False}, [0, 1, 4, 5, 6]),
        ({"max_len": None}, [2, 3, 4, 5, 6]),
        ({"min_len": None}, [0, 1, 2, 3, 4]),
        ({"min_len": 0, "min_closed_interval": False}, [1, 2, 3, 4]),
        ({"min_len": None, "min_closed_interval": False}, [0, 1, 2, 3, 4]),
        ({"min_len": None, "reversed_range": True}, [4, 5, 6]),
    ],
)
def test_texts(settings: dict[str, object], lengths: list[int]) -> None:
    op = TextLengthFilter(**{"min_len": 2, "max_len": 4, **settings})
    assert op({"text": ["x" * length for length in LENGTHS]}) == {"text": ["x" * length for length in lengths]}


def test_films(clips) -> None:
    """Of two seconds, and 64 pixels wide and high."""
    (path, samples) = clips.paths[0], {"videos": [[clips.paths[0]]]}
    assert VideoDurationFilter(max_duration=2.0)(samples)["videos"] == [[path]]
    assert VideoDurationFilter(max_duration=2.0, max_closed_interval=False)(samples)["videos"] == []
    assert VideoDurationFilter(min_duration=2.5, max_duration=None, reversed_range=True)(samples)["videos"] == [[path]]
    assert VideoDurationFilter(min_duration=1, max_duration=3, reversed_range=True)(samples)["videos"] == []
    assert VideoResolutionFilter(min_width=64, min_closed_interval=False)(samples)["videos"] == []
    assert VideoResolutionFilter(min_width=0, max_width=None, min_height=None)(samples)["videos"] == [[path]]
    sides = {"min_width": 65, "min_height": 65, "reversed_range": True}
    assert VideoResolutionFilter(**sides)(samples)["videos"] == [[path]]
    assert VideoResolutionFilter(**{**sides, "min_height": 10})(samples)["videos"] == []


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"min_len": 3, "max_len": 3, "min_closed_interval": False},
            ("min_len", "min_len and max_len are both 3, and an end is open: nothing can pass"),
        ),
        (
            {"min_len": 9, "max_len": 3, "reversed_range": True},
            ("min_len", "min_len (9) is larger than max_len (3): everything passes"),
        ),
        (
            {"min_len": None, "max_len": None, "reversed_range": True},
            (
                "reversed_range",
                "reversed_range without min_len and max_len: nothing lies outside of the range, and nothing can pass",
            ),
        ),
    ],
)
def test_ranges_that_make_no_sense(settings: dict[str, object], problem: tuple[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        TextLengthFilter(**settings)
    assert caught.value.problems == [problem]


def test_a_reversed_side_without_limits_lets_nothing_pass() -> None:
    with pytest.raises(SettingsError) as caught:
        VideoResolutionFilter(min_width=100, reversed_range=True)
    told = "min_height and max_height leave no height outside of them, where reversed_range wants it: nothing can pass"
    assert caught.value.problems == [("reversed_range", told)]


def test_at_their_defaults_they_are_in_no_fingerprint() -> None:
    assert set(TextLengthFilter().settings()).isdisjoint({"min_closed_interval", "max_closed_interval", "reversed_range"})
    assert TextLengthFilter(reversed_range=True).fingerprint() != TextLengthFilter().fingerprint()
