"""JSON Lines come as written; a broken line is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from datasets import List, Value

from juicecap.data.source import open_source
from juicecap.errors import DataError
from juicecap.sample import FATE, ORIGIN


def write(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    return str(path)


def test_byte_order_mark_crlf_blank_lines_and_a_last_line_without_end(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbf{"a": "1"}\r\n\r\n \t\n{"a": "2"}\r\n  {"a": "3"}')
    dataset = open_source(path, cache_folder=tmp_path)
    assert dataset["a"] == ["1", "2", "3"]
    assert [origin["id"] for origin in dataset[ORIGIN]] == ["a.jsonl:1", "a.jsonl:4", "a.jsonl:5"]


def test_line_separators_of_unicode_do_not_end_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": "x\u2028y\u0085z"}\n{"a": "\\ud83c\\udfac"}\n'.encode())
    assert open_source(path, cache_folder=tmp_path)["a"] == ["x\u2028y\u0085z", "\U0001f3ac"]


def test_simple_columns_have_native_types(tmp_path: Path) -> None:
    record = b'{"b": true, "i": 1, "u": 18446744073709551615, "f": 0.5, "t": "007", "d": "2024-01-02", "n": null, "l": [["a"]]}'
    features = open_source(write(tmp_path, record), cache_folder=tmp_path).features
    del features[ORIGIN]
    assert features == {
        "b": Value("bool"),
        "i": Value("int64"),
        "u": Value("uint64"),
        "f": Value("float64"),
        "t": Value("string"),
        "d": Value("string"),
        "n": Value("string"),
        "l": List(List(Value("string"))),
    }


GOOD = b'{"a": 1}\n'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a": 1', "not valid JSON: Expecting ',' delimiter at column 8. Mend the record or remove it."),
        (b'{"a": 1} {"a": 2}', "not valid JSON: Extra data at column 10."),
        (b"{'a': 1}", "not valid JSON: Expecting property name enclosed in double quotes at column 2."),
        (b"nonsense", "not valid JSON: Expecting value at column 1."),
        (b"[1]", "holds a list, not an object."),
        (b'"x"', "holds a string, not an object."),
        (b"null", "holds null, not an object."),
        (b"12", "holds a number, not an object."),
        (b'{"a": "\xff"}', "not valid UTF-8 (byte 0xff: invalid start byte). Save the file as UTF-8."),
        (b'{"a": {"b": 1, "b": 1}}', "the key 'b' stands twice in one object."),
        (b'{"a": "\\ud800"}', "a \\u escape is half of a surrogate pair"),
        (b'{"a": {"\\udc00": 1}}', "a \\u escape is half of a surrogate pair"),
        (b'{"a": 1e999}', "the number 1e999 is too large for a float."),
        (b'{"a": ' + b"9" * 5000 + b"}", f"the integer {'9' * 40} does not fit into 64 bits and should be a string."),
        (
            b'{"a": 1180591620717411303424}',
            "the integer 1180591620717411303424 does not fit into 64 bits and should be a string.",
        ),
        (b'{"a": ' + b"[" * 100_000, "lists or objects are nested too deeply."),
        (f'{{"{ORIGIN}": 1}}'.encode(), f"the name '{ORIGIN}' is reserved by juicecap."),
        (f'{{"{FATE}": 1}}'.encode(), f"the name '{FATE}' is reserved by juicecap."),
    ],
)
def test_a_broken_line_is_named(line: bytes, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + b"\n" + line + b"\n" + GOOD)
    with pytest.raises(DataError, match=re.escape(f"{path}:3: {message}")):
        open_source(path, cache_folder=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
