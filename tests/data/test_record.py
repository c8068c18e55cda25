"""JSON that cannot be kept as written is refused, and what it costs is one record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from juicecap.data.record import BrokenRecord, decode_object, parse_object, record


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), [2**63], {"x": {"y": [0, -1]}}])
def test_integers_of_64_bits_come_whole(value: Any) -> None:
    assert parse_object(json.dumps({"a": value}), "f:1") == {"a": value}


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, [2**70], {"x": {"y": [2**70]}}, [1, "a", {"x": -(10**60)}]])
def test_an_integer_beyond_64_bits_is_refused(value: Any) -> None:
    digits = next(part for part in json.dumps(value).replace("]", " ").replace("}", " ").split() if len(part) > 15)[:40]
    with pytest.raises(BrokenRecord) as caught:
        parse_object(json.dumps({"z": 1, "a": value}), "f:1")
    assert str(caught.value).startswith(f"f:1: the integer {digits.lstrip('[')[:40]}")
    assert str(caught.value).endswith(" does not fit into 64 bits and should be a string. Mend the record.")


@pytest.mark.parametrize(
    "broken", ['{"a": 1, "a": [2, {"b": "}"}]}', '{"a": 1e999, "b": "\\""}', '"x"', "[1]", '{"a": "\\ud800"}', '{"a\\u0000": 1}']
)
def test_behind_a_broken_record_the_next_one_begins(broken: str) -> None:
    text = f'  {broken}, {{"a": 2}}'
    with pytest.raises(BrokenRecord) as caught:
        decode_object(text, 2, "f:1")
    assert caught.value.end == 2 + len(broken)
    assert decode_object(text, caught.value.end + 2, "f:2") == ({"a": 2}, len(text))


def test_a_broken_record_tells_why_and_has_no_values() -> None:
    assert record("f:1", "/data/f:1", lambda: parse_object("{}x", "/data/f:1")) == (
        "f:1",
        "/data/f:1",
        {},
        "not valid JSON: Extra data at column 3. Mend the record or remove it.",
        "",
    )


def test_a_key_that_stands_twice_is_found_in_linear_time() -> None:
    text = json.dumps({f"k{number}": number for number in range(200_000)})[:-1] + ', "k199999": 1}'
    with pytest.raises(BrokenRecord, match=r"^f:1: the key 'k199999' stands twice in one object"):
        parse_object(text, "f:1")
