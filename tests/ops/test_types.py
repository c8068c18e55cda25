"""Types of fields: their names in a recipe, and the values that are of them."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from jsonargparse.typing import ClosedUnitInterval, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from juicecap.ops.options.types import as_number, fits, type_name


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        (str, "str"),
        (bool | None, "bool or null"),
        (PositiveInt, "int > 0"),
        (NonNegativeInt, "int >= 0"),
        (PositiveFloat | None, "float > 0 or null"),
        (NonNegativeFloat, "float >= 0"),
        (ClosedUnitInterval, "float >= 0 and <= 1"),
        (Literal["rewrite", "keep_origin"], "rewrite | keep_origin"),
        (Literal["a", "b"] | None, "a | b or null"),
        (dict[str, Any] | None, "dict or null"),
        (list[str], "list"),
        (Any, "Any"),
    ],
)
def test_names(hint, name):
    assert type_name(hint) == name


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (str, ["", "a"], [1, None, b"a"]),
        (bool, [True, False], [1, 0, "true", None]),
        (int, [0, -3], [True, 1.0, "1"]),
        (float, [1, 1.5, float("inf")], [True, "1", None]),
        (PositiveInt, [1, 10**20], [0, -1, 1.0, "1", True, None]),
        (NonNegativeFloat, [0, 0.0, 2.5, float("inf")], [-0.1, "1", True]),
        (PositiveFloat | None, [None, 0.5, 2], [0, "1"]),
        (Literal["a", "b"] | None, ["a", None], ["c", "", 1]),
        (Literal[1], [1], [True, 1.0]),
        (dict[str, Any] | None, [{}, None], [[], "x"]),
        (list[str], [[], ["a"]], ["a", ("a",), None]),
        (Any, [None, 1, object()], []),
    ],
)
def test_values(hint, good, bad):
    assert all(fits(value, hint) for value in good)
    assert not any(fits(value, hint) for value in bad)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("2e5", 200_000),
        ("1E3", 1000),
        ("5e-1", 0.5),
        ("-1.5e0", -1.5),
        (".5e+1", 5),
        ("2e999", "2e999"),
        ("2e", "2e"),
        ("e5", "e5"),
        ("12", "12"),
        ("2e5 ", "2e5 "),
        ("\u0662e5", "\u0662e5"),
        (7.5, 7.5),
        (None, None),
        (["2e5"], ["2e5"]),
    ],
)
def test_texts_that_yaml_should_have_read_as_numbers(value, number):
    assert (as_number(value), type(as_number(value))) == (number, type(number))
