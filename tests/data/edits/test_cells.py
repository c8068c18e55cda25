"""What a cell says, however it is spelt."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from juicecap.data.edits.cells import Kind, text_digest, value_digest


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("number", 1, 1.0),
        ("number", 0.1 + 0.2, 0.3),
        ("number", float("nan"), None),
        ("json", {"a": 1, "b": [1.0, None]}, {"b": [1, None], "a": 1.0}),
        ("json", ["a.mp4"], '["a.mp4"]'),
        ("json", dt.date(2026, 1, 2), "2026-01-02"),
        ("json", Decimal("1.50"), "1.50"),
        ("text", "é", "\u00e9"),
    ],
)
def test_values_that_say_the_same(kind: Kind, one: Any, other: Any) -> None:
    assert value_digest(one, kind) == value_digest(other, kind)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("number", 1, True),
        ("number", 2**53, 2**53 + 1),
        ("number", 0.3, 0.30000000001),
        ("text", "1", 1),
        ("text", "", None),
        ("text", "null", None),
        ("text", "[1]", "[1.0]"),
        ("text", "a", "a "),
        ("json", [1, 2], [2, 1]),
        ("json", "a", ["a"]),
    ],
)
def test_values_that_do_not(kind: Kind, one: Any, other: Any) -> None:
    assert value_digest(one, kind) != value_digest(other, kind)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("number", "0.5", "0.50"),
        ("number", "100000", "1E+05"),
        ("number", "2", " 2.0"),
        ("number", "0", "0.0"),
        ("bool", "true", "TRUE"),
        ("bool", "", " "),
        ("json", '["a", 1]', '[ "a",1.0 ]'),
        ("text", "a\nb", "a\r\nb"),
    ],
)
def test_cells_of_a_csv_that_say_the_same(kind: Kind, one: str, other: str) -> None:
    assert text_digest(one, kind) == text_digest(other, kind)


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("number", "0", ""),
        ("number", "1", "one"),
        ("bool", "true", "false"),
        ("bool", "false", ""),
        ("text", "007", "7"),
        ("text", "1.0", "1"),
        ("text", "TRUE", "true"),
        ("json", '["a"]', "a"),
    ],
)
def test_cells_of_a_csv_that_do_not(kind: Kind, one: str, other: str) -> None:
    assert text_digest(one, kind) != text_digest(other, kind)
