"""The narrowest type that holds all values unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from juicecap.data.columns import LEVELS
from juicecap.data.infer import infer_columns
from juicecap.data.record import Record
from juicecap.errors import DataError
from juicecap.sample import FATE, ORIGIN


def spec_of(*values: Any) -> Any:
    columns, count = infer_columns(Record("f:1", "f:1", {"a": value}) for value in values)
    assert count == len(values)
    return columns["a"]


@pytest.mark.parametrize(
    ("values", "spec"),
    [
        ([None, None], "text"),
        (["007", None], "text"),
        ([1, -(2**63)], "int"),
        ([0, 2**64 - 1], "uint"),
        ([-1, 2**63], "json"),
        ([1.5, 2.0], "float"),
        ([1, 1.5], "json"),
        ([True, 1], "json"),
        ([True, False], "bool"),
        (["a", ["a"]], "json"),
        ([[], None], ["text"]),
        ([["a"], [None]], ["text"]),
        ([[["a"], []], []], [["text"]]),
        ([[1], ["a"]], "json"),
        ([{"x": 1, "y": None}, None], {"x": "int", "y": "text"}),
        ([{"x": 1}, {"x": 1, "y": 1}], "json"),
        ([{"x": 1, "y": 1}, {"y": 1, "x": 1}], "json"),
        ([{}], "json"),
        ([{"x\0": 1}], "json"),
        ([[{"from": "a"}], [{"from": "b"}, None]], [{"from": "text"}]),
        ([[{"from": "a"}], [{"to": "b"}]], "json"),
    ],
)
def test_the_spec_of_values(values: list[Any], spec: Any) -> None:
    assert spec_of(*values) == spec


def test_columns_come_in_order_of_first_appearance() -> None:
    records = [Record("", "", {"b": 1}), Record("", "", {"a": 1, "b": 2}), Record("", "", {})]
    assert list(infer_columns(records)[0].items()) == [("b", "int"), ("a", "int")]


@pytest.mark.parametrize("name", [ORIGIN, FATE])
def test_a_reserved_name_is_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"^f.jsonl:3: the name '{name}' is reserved"):
        infer_columns([Record("", "f.jsonl:3", {name: 1})])


def test_a_null_character_in_a_name_is_refused() -> None:
    with pytest.raises(DataError, match=r"^f:1: the name 'a\\x00b' holds a null character"):
        infer_columns([Record("", "f:1", {"a\0b": 1})])


def nested(levels: int, inner: Any) -> Any:
    for _ in range(levels):
        inner = [inner]
    return inner


def test_what_is_nested_deeper_than_a_column_can_be_is_json() -> None:
    assert spec_of(nested(LEVELS, 1)) == nested(LEVELS, "int")
    assert spec_of(nested(LEVELS + 1, 1)) == "json"
    assert spec_of({"a": nested(LEVELS - 1, {})}) == "json"
    assert spec_of([nested(60, 1), {"a": 1}]) == "json"


def test_fields_of_all_columns_are_as_many_as_columns_can_be() -> None:
    half = {f"k{number}": number for number in range(6000)}
    columns, _ = infer_columns([Record("f:1", "f:1", {"a": half, "b": half, "c": {"x": 1}})])
    assert columns["a"] == dict.fromkeys(half, "int")
    assert columns["b"] == "json"
    assert columns["c"] == {"x": "int"}
    assert spec_of([{f"k{number}": {"x": 1} for number in range(9000)}]) == "json"
