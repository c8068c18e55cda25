"""White space of all kinds becomes plain spaces."""

from __future__ import annotations

import pytest

from juicecap.errors import SampleError
from juicecap.ops import WhitespaceNormalizationMapper

DATA_JUICERS = [
    *" \t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    *"\u200b\u200c\u200d\u2060\ufffc\u0084",
]
"""The characters of its `VARIOUS_WHITESPACES`."""


@pytest.mark.parametrize("space", DATA_JUICERS)
def test_each_kind_of_space(space):
    assert WhitespaceNormalizationMapper()({"text": [f"a{space}b"]}) == {"text": ["a b"]}


def test_the_ends_are_stripped_and_lines_stay():
    text = " \n a\t\tb \n\u3000c\u00a0\n"
    assert WhitespaceNormalizationMapper()({"text": [text]}) == {"text": ["a  b \n c"]}


def test_nothing_else_changes():
    batch = {"text": [None, "", "plain"], "n": [1, 2, 3]}
    assert WhitespaceNormalizationMapper()(batch) == batch


def test_a_column_of_ones_own():
    op = WhitespaceNormalizationMapper(text_key="caption")
    assert op({"caption": ["a\tb"], "text": ["a\tb"]}) == {"caption": ["a b"], "text": ["a\tb"]}
    assert op.columns_required() == (("text_key", "caption"),)
    assert op.columns_written() == {"caption": "text"}


def test_a_value_that_is_no_text():
    with pytest.raises(SampleError) as caught:
        WhitespaceNormalizationMapper()({"text": [7]})
    assert (caught.value.code, caught.value.message) == ("BAD_TEXT", "a sample without media: column 'text' holds 7, not a text")
