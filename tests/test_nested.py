"""Columns inside of objects: how they are found, read and written."""

from __future__ import annotations

import pytest

from juicecap.errors import SampleError
from juicecap.nested import is_among, names_in, placed, value_of, with_replaced, with_value

SAMPLE = {"media": {"video": "a.mp4", "more": {"title": "A", "x.y": 1}}, "media.text": "flat", "a.b": {"c": 2}, "none": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("media.video", "a.mp4"),
        ("media.more.title", "A"),
        ("media.more.x.y", 1),
        ("media.text", "flat"),
        ("a.b.c", 2),
        ("media.video.deeper", None),
        ("media.absent", None),
        ("none.any", None),
        ("absent.any", None),
        ("media.", None),
        (".", None),
        ("", None),
    ],
)
def test_a_dot_leads_into_an_object_unless_a_column_has_that_very_name(name: str, value: object) -> None:
    assert value_of(SAMPLE, name) == value


def test_a_value_goes_into_the_object_that_is_there_and_nothing_else_changes() -> None:
    sample = {"media": {"video": "a.mp4"}, "id": 7}
    assert with_value(sample, "media.caption", "x") == {"media": {"video": "a.mp4", "caption": "x"}, "id": 7}
    assert with_value(sample, "other.caption", "x") == {**sample, "other.caption": "x"}
    assert with_value({"media": None}, "media.caption", "x") == {"media": {"caption": "x"}}
    assert with_value({"media.caption": "old", "media": {}}, "media.caption", "x") == {"media.caption": "x", "media": {}}
    assert sample == {"media": {"video": "a.mp4"}, "id": 7}


def test_a_value_has_no_place_in_what_is_no_object() -> None:
    with pytest.raises(SampleError, match=r"^BAD_OBJECT: 'clip.caption' cannot be written, since 'clip' holds no object$"):
        with_value({"clip": "a.mp4"}, "clip.caption", "x")


def test_what_an_op_wrote_is_put_into_its_object() -> None:
    sample = {"media": {"video": "a.mp4"}}
    assert placed({**sample, "media.caption": "x"}, ["media.caption"], sample) == {"media": {"video": "a.mp4", "caption": "x"}}
    flat = {"media": {}, "media.caption": "old"}
    assert placed({**flat, "media.caption": "x"}, ["media.caption"], flat) == {"media": {}, "media.caption": "x"}


def test_a_value_is_replaced_only_where_there_is_one() -> None:
    assert with_replaced({"media": {"video": "a"}}, "media.video", str.upper) == {"media": {"video": "A"}}
    for lacking in ({"media": {"text": "a"}}, {"media": None}, {}):
        assert with_replaced(lacking, "media.video", str.upper) == lacking


def test_names_of_all_columns() -> None:
    assert list(names_in({"id": 1, "media": {"video": "a", "more": {"title": "A"}}})) == [
        "id", "media", "media.video", "media.more", "media.more.title",
    ]  # fmt: skip
    names = list(names_in({"id": "int", "meta": {"any": "json"}}, lambda spec: spec == "json"))
    assert names == ["id", "meta", "meta.any", "meta.any.*"]
    assert is_among("meta.any.thing", names)
    assert not is_among("meta.other", names)
    assert not is_among("id.x", names)
