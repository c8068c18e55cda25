"""Videos are kept by their duration."""

from __future__ import annotations

import pytest

from juicecap.errors import SettingsError
from juicecap.ops import VideoDurationFilter

LOOK = ("circle", "red", "black", "right")


@pytest.fixture(scope="module")
def one(tmp_path_factory, film) -> str:
    """A clip of one second."""
    path = tmp_path_factory.mktemp("one") / "one.mp4"
    film(path, *LOOK, frames=12)
    return str(path)


@pytest.fixture(scope="module")
def two(clips) -> str:
    """A clip of two seconds."""
    return clips.paths[0]


def kept(samples, **settings):
    return VideoDurationFilter(**settings)({"videos": samples})["videos"]


def test_the_ends_of_the_range_pass(one, two):
    assert kept([[one], [two]], min_duration=1.0, max_duration=2.0) == [[one], [two]]
    assert kept([[one], [two]], min_duration=1.1) == [[two]]
    assert kept([[one], [two]], max_duration=1.9) == [[one]]


def test_all_pass_by_default(one, two):
    assert kept([[one], [two], [one, two]]) == [[one], [two], [one, two]]


def test_any_or_all(one, two):
    samples = [[one, two], [one, one], [two, two]]
    assert kept(samples, min_duration=1.5) == [[one, two], [two, two]]
    assert kept(samples, min_duration=1.5, any_or_all="all") == [[two, two]]


def test_what_is_dropped_tells_its_duration_and_the_limits(one, two):
    op = VideoDurationFilter(min_duration=1.5, any_or_all="all")
    fates = op.fates({"videos": [[one], [one, two], [two]]})
    assert [fate.dropped and fate.dropped.measured for fate in fates] == [{"duration": 1.0}, {"duration": [1.0, 2.0]}, None]
    assert op.wanted() == {"min_duration": 1.5, "any_or_all": "all"}
    assert VideoDurationFilter(max_duration=2).wanted() == {"max_duration": 2.0}


@pytest.mark.parametrize("rule", ["any", "all"])
def test_a_sample_without_videos_passes(rule):
    assert kept([None, []], min_duration=5, any_or_all=rule) == [None, []]


def test_a_column_of_ones_own(one, two):
    op = VideoDurationFilter(min_duration=1.5, video_key="clip")
    assert op({"clip": [one, two]}) == {"clip": [two]}
    assert op.media_columns() == ("clip",)


def test_a_video_that_cannot_be_read_is_rejected_alone(one):
    fates = VideoDurationFilter().fates({"videos": [["none.mp4"], [one]]})
    assert [fate.kind for fate in fates] == ["rejected", "kept"]
    assert fates[0].failure.code == "FILE_NOT_FOUND"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"min_duration": 3, "max_duration": 2},
            ("min_duration", "min_duration (3) is larger than max_duration (2): nothing can pass"),
        ),
        ({"max_duration": -1.0}, ("max_duration", "max_duration must be float >= 0 or null, not -1.0")),
        ({"any_or_all": "some"}, ("any_or_all", "any_or_all must be any | all, not 'some'")),
    ],
)
def test_settings_that_cannot_work(settings, problem):
    with pytest.raises(SettingsError) as caught:
        VideoDurationFilter(**settings)
    assert caught.value.problems == [problem]


def test_the_duration_is_that_of_the_part(two):
    parts = [[f"{two}#t=0.5,1"], [f"{two}#t=0.5"], [two]]
    assert kept(parts, max_duration=0.5) == parts[:1]
    assert kept(parts, min_duration=1.0) == parts[1:]
    assert VideoDurationFilter().media_of({"videos": [two, f"{two}#t=1"]}) == [two, two]


def test_columns_name_the_part(two):
    rows = {"videos": [[two], [two], [two, two]], "from": [0.5, None, [0, "0:01"]], "to": ["1", None, [1.5, None]]}
    op = VideoDurationFilter(start_key="from", end_key="to", max_duration=1.0)
    assert op(rows) == {"videos": [[two], [two, two]], "from": [0.5, [0, "0:01"]], "to": ["1", [1.5, None]]}


@pytest.mark.parametrize(
    ("fragment", "told"),
    [
        ("t=2,1", "BAD_FRAGMENT: {}#t=2,1 ends before it begins: the second time is not later than the first one"),
        ("t=3,9", "BEHIND_THE_END: {} lasts 2.00 seconds, and the part #t=3,9 begins behind its end"),
    ],
)
def test_what_is_no_part_is_rejected_alone(two, fragment, told):
    lost, stays = VideoDurationFilter().fates({"videos": [[f"{two}#{fragment}"], [two]]})
    assert (str(lost.failure), stays.kind) == (told.format(two), "kept")
