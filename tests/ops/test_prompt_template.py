"""Prompts that are filled from each sample."""

from __future__ import annotations

import pytest

from juicecap.errors import SampleError
from juicecap.ops.captioning.prompt_template import filled, template_columns


def test_columns_are_named_once_in_order():
    assert template_columns("A {title} by {author}: {title} {{literally}}") == ("title", "author")
    assert template_columns("none") == ()


@pytest.mark.parametrize(
    ("value", "written"),
    [("007", "007"), (9007199254740993, "9007199254740993"), (0.1, "0.1"), (True, "true"), (["ä", None], '["ä", null]')],
)
def test_values(value, written):
    assert filled("{{x}} is {x}", {"x": value}) == f"{{x}} is {written}"


def test_a_name_is_a_columns_name_and_nothing_more():
    assert filled("{a.b} {a[0]}", {"a.b": "dot", "a[0]": "index", "a": ["no"]}) == "dot index"


@pytest.mark.parametrize("sample", [{}, {"title": None}])
def test_a_value_that_is_missing_is_not_made_up(sample):
    with pytest.raises(SampleError) as caught:
        filled("About {title}", sample)
    assert (caught.value.code, caught.value.message) == ("NO_VALUE", "the prompt names the column 'title', which is null here")


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{", "single '{' encountered in format string"),
        ("a }", "single '}' encountered in format string"),
        ("{}", "{} is no column's name"),
        ("{title:>9}", "{title:>9} is no column's name"),
        ("{title!r}", "{title!r} is no column's name"),
        ('{"objects": []}', '{"objects": []} is no column\'s name'),
    ],
)
def test_what_is_no_template(template, reason):
    with pytest.raises(ValueError, match=r"write {{ and }}") as caught:
        template_columns(template)
    assert str(caught.value) == f"{reason}: write {{{{ and }}}} for braces that name no column"
