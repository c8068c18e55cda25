"""YAML as people leave it: what is read, and what is answered."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from juicecap.recipe.yaml.values import SourceSpan, parse

Complain = Callable[..., str]

BROKEN: dict[str, tuple[str | bytes, str]] = {
    "a tab": (
        "a: 1\nb:\n\tc: 2\n",
        """\
recipe.yaml:3:1: a tab in the indentation
    3 | \tc: 2
      | ^
   YAML is indented with spaces""",
    ),
    "a second colon": (
        "project_name: caption: all\n",
        """\
recipe.yaml:1:22: not valid YAML: a second ':' in one entry
    1 | project_name: caption: all
      |                      ^
   a text that holds ': ' needs quotes""",
    ),
    "a character that begins nothing": (
        "project_name: @all\n",
        """\
recipe.yaml:1:15: not valid YAML: a value cannot begin with '@'
    1 | project_name: @all
      |               ^
   a text that does needs quotes""",
    ),
    "a quote that is never closed": (
        "a: 1\nproject_name: 'all\nnp: 3\n",
        """\
recipe.yaml:2:15: not valid YAML: the recipe ends while scanning a quoted scalar that begins here
    2 | project_name: 'all
      |               ^""",
    ),
    "an indentation that fits nowhere": (
        "process:\n    - a:\n  - b:\n",
        """\
recipe.yaml:3:3: not valid YAML: the indentation of this line fits none above it
    3 |   - b:
      |   ^""",
    ),
    "a word behind a quoted one": (
        "project_name: 'a' b\n",
        """\
recipe.yaml:1:19: not valid YAML: expected <block end>, but found '<scalar>' while parsing a block mapping, which begins in line 1
    1 | project_name: 'a' b
      |                   ^""",
    ),
    "an unknown alias": (
        "a: *b\n",
        """\
recipe.yaml:1:4: not valid YAML: found undefined alias 'b'
    1 | a: *b
      |    ^""",
    ),
    "two documents": (
        "a: 1\n---\nb: 1\n",
        """\
recipe.yaml:2:1: a second YAML document begins here; a recipe is one
    2 | ---
      | ^
   remove the line '---'""",
    ),
    "an alias bomb": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
        ),
        """\
recipe.yaml:1:32: aliases expand to more than 20,000 values
    1 | a: &a [x, x, x, x, x, x, x, x, x, x]
      |                                ^""",
    ),
    "an alias of itself": (
        "a: &a\n  b: [*a]\n",
        """\
recipe.yaml:1:4: this value contains itself through an alias
    1 | a: &a
      |    ^""",
    ),
    "brackets without end": (
        "a: " + "[" * 200 + "]" * 200,
        f"""\
recipe.yaml:1:103: values are nested deeper than 100 levels
    1 | …{"[" * 120}…
      | {" " * 41}^""",
    ),
    "an escape of the terminal": (
        "a: 1\nb: \x1b[31m\n",
        """\
recipe.yaml:2:4: the character U+001B may not stand in YAML
    2 | b: \ufffd[31m
      |    ^""",
    ),
    "a character beyond Unicode": (
        'a: "\\U00110000"\n',
        """\
recipe.yaml:1:7: not valid YAML: chr() arg not in range(0x110000)
    1 | a: "\\U00110000"
      |       ^""",
    ),
    "another encoding": (
        "np: 1\nproject_name: caf\xe9\n".encode("latin-1"),
        "recipe.yaml:2:18: the byte 0xe9 is not UTF-8\n   save the file as UTF-8",
    ),
    "nothing": (
        "# later\n",
        "recipe.yaml:1:1: the recipe is empty\n   it holds keys such as dataset_path, export_path and process",
    ),
    "a list": (
        "- np: 3\n",
        "recipe.yaml:1:1: the recipe is a list, not a mapping of keys\n"
        "   it holds keys such as dataset_path, export_path and process",
    ),
    "a megabyte": ("#" * 1_000_001, "recipe.yaml: is larger than 1,000,000 bytes; that is no recipe"),
    "a key of several words in brackets": (
        "process: []\n? [a, b]\n: 3\n",
        """\
recipe.yaml:2:3: a key must be one word, not a list or a mapping
    2 | ? [a, b]
      |   ^^^^^^""",
    ),
    "half a character": (
        'process: []\nproject_name: "\\ud83d"\n',
        """\
recipe.yaml:2:15: a \\u escape is half of a surrogate pair and stands for no character
    2 | project_name: "\\ud83d"
      |               ^^^^^^^^""",
    ),
    "a number that is none": (
        "process: []\nproject_name: !!int x\n",
        """\
recipe.yaml:2:15: 'x' is not an int of 64 bits
    2 | project_name: !!int x
      |               ^^^^^^^""",
    ),
    "a tag of ones own, in an op": (
        "process:\n  - text_length_filter: !mine {min_len: 3}\n",
        """\
recipe.yaml:2:25: the tag '!mine' is not allowed: a recipe holds plain values
    2 |   - text_length_filter: !mine {min_len: 3}
      |                         ^^^^^^^^^^^^^^^^^^""",
    ),
    "a duplicate deep in a block": (
        "process:\n  - text_length_filter:\n      min_len: 3\n      max_len: 4\n      min_len: 5\n",
        """\
recipe.yaml:5:7: 'min_len' is set twice; first in line 3
    5 |       min_len: 5
      |       ^^^^^^^""",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_text_that_is_no_recipe(name: str, complain: Complain) -> None:
    text, report = BROKEN[name]
    assert complain(text) == report


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02 03:04:05", "2024-01-02 03:04:05"),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("0x1F", 31),
        ("1_000", 1000),
        (".inf", math.inf),
        ("1.5", 1.5),
        ("'1.5'", "1.5"),
        ("=", "="),
        ("<|__dj__eoc|>", "<|__dj__eoc|>"),
        ("{0: 10GB, cpu: 30GB}", {0: "10GB", "cpu": "30GB"}),
        ("{on: 1}", {"on": 1}),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_values_are_those_of_safe_yaml_and_dates_stay_text(text: str, value: Any) -> None:
    parsed = parse(f"key: {text}", "r")
    assert parsed.values == {"key": value}
    assert type(parsed.values["key"]) is type(value)
    assert parsed.problems == []


def test_aliases_are_copies_and_merge_keys_give_way_to_explicit_ones() -> None:
    parsed = parse("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\nd: {y: 4, <<: [{x: 5}, *a]}\n", "r")
    assert parsed.values == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}, "d": {"x": 5, "y": 4}}
    assert parsed.values["a"] is not parsed.values["c"]


def test_each_key_and_value_has_its_place() -> None:
    parsed = parse("a: 1\nlist:\n  - name: two words\n    text: |\n      more\n", "r")
    assert parsed.keys["a",] == SourceSpan(1, 1, 1)
    assert parsed.places["a",] == SourceSpan(1, 4, 1)
    assert parsed.keys["list", 0, "name"] == SourceSpan(3, 5, 4)
    assert parsed.places["list", 0, "name"] == SourceSpan(3, 11, 9)
    assert parsed.places["list", 0] == SourceSpan(3, 5, 15)
    assert parsed.places["list", 0, "text"] == SourceSpan(4, 11, 1)


def test_a_byte_order_mark_and_foreign_line_ends(complain: Complain) -> None:
    report = "recipe.yaml:2:1: a recipe has no key 'zz'\n    2 | zz: 1\n      | ^^"
    assert complain(b"\xef\xbb\xbfprocess: []\r\nzz: 1\r\n") == report
    assert complain("process: []\u2028zz: 1\n") == report
