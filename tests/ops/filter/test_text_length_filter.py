"""Texts are kept by their length."""

from __future__ import annotations

import sys

import pytest

from juicecap.errors import SettingsError
from juicecap.ops import TextLengthFilter


def test_the_ends_of_the_range_pass():
    texts = ["", "ab", "abc", "abcde", "abcdef", "五个字的话"]
    assert TextLengthFilter(min_len=3, max_len=5)({"text": texts})["text"] == ["abc", "abcde", "五个字的话"]


def test_defaults():
    op = TextLengthFilter()
    assert (op.min_len, op.max_len) == (10, sys.maxsize)
    assert op({"text": ["123456789", "1234567890"]})["text"] == ["1234567890"]


def test_a_sample_without_text_has_length_0():
    assert TextLengthFilter(min_len=1)({"text": [None, "a"]})["text"] == ["a"]
    assert TextLengthFilter(min_len=0)({"text": [None, "a"]})["text"] == [None, "a"]
    assert TextLengthFilter(min_len=1)({"n": [1]}) == {"n": []}


def test_what_is_dropped_tells_its_length_and_the_limits():
    op = TextLengthFilter(min_len=2, max_len=4, reversed_range=True)
    assert [fate.dropped and dict(fate.dropped.measured) for fate in op.fates({"text": ["abc", "a"]})] == [{"length": 3}, None]
    assert op.wanted() == {"min_len": 2, "max_len": 4, "reversed_range": True}
    assert TextLengthFilter(min_len=0, max_len=None).wanted() == {}


def test_a_column_of_ones_own():
    assert TextLengthFilter(min_len=2, text_key="caption")({"caption": ["a", "ab"]}) == {"caption": ["ab"]}


def test_a_value_that_is_no_text_is_rejected():
    (fate,) = TextLengthFilter().fates({"text": [["x"] * 1000]})
    assert fate.failure.code == "BAD_TEXT"
    assert fate.failure.message == "column 'text' holds " + repr(["x"] * 1000)[:79] + "…, not a text"


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        ({"min_len": 9, "max_len": 3}, [("min_len", "min_len (9) is larger than max_len (3): nothing can pass")]),
        ({"min_len": -1}, [("min_len", "min_len must be int >= 0 or null, not -1")]),
    ],
)
def test_ranges_that_nothing_can_pass(settings, problems):
    with pytest.raises(SettingsError) as caught:
        TextLengthFilter(**settings)
    assert caught.value.problems == problems
