"""A list of records is read piece by piece, whatever the piece."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from juicecap.data.source import open_source
from juicecap.data.source.text import json_list
from juicecap.errors import DataError
from juicecap.sample import ORIGIN

RECORDS: list[dict[str, Any]] = [
    {"a": 'x] } [ { , \\ " é\U0001f3ac\u2028', "n": 12345678901234567890, "f": -1.5e-300, "t": True},
    {},
    {"a": "", "deep": [[{"x": None}], [], "\\u00e9"], "nan": "NaN"},
    {"a": "long" * 50, "n": 0},
]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 16, 1000])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_records_may_be_cut_anywhere(
    piece: int, indent: int | None, ascii_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_list, "PIECE", piece)
    path = tmp_path / "a.json"
    path.write_text("\ufeff \n" + json.dumps(RECORDS, indent=indent, ensure_ascii=ascii_only) + " \n", encoding="utf-8")
    found = list(json_list.records(path))
    assert [record.values for record in found] == RECORDS
    assert [record.id for record in found] == ["a.json:1", "a.json:2", "a.json:3", "a.json:4"]


def test_rows_and_their_origin(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1},\n\n{"b": 2}]')
    rows = open_source(str(path), cache_folder=tmp_path)[:]
    assert rows["a"] == [1, None]
    assert rows[ORIGIN][1] == {"id": "a.json:2", "folder": str(tmp_path), "missing": ["a"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": 2}', " holds an object, not a list of records. If it has one object per line, name it .jsonl."),
        ("12", ":1: not valid JSON: the file does not begin with a list"),
        ("[", ":1 (record 1): not valid JSON: Expecting value"),
        ('[{"a": 1},\n 12]', ":2 (record 2): holds a number, not an object."),
        ('[{"a": 1},\n [{}], {}]', ":2 (record 2): holds a list, not an object."),
        ('[{"a": 1},\n]', ":2 (record 2): not valid JSON: Expecting value."),
        ('[\n{"a": 1}\n{"a": 2}]', ":3: not valid JSON: after record 1 a comma or the end of the list is missing"),
        ('[{"a": 1}', ":1: not valid JSON: after record 1 a comma or the end of the list is missing"),
        ('[{"a": 1},\n\n{"a": "x', ":3 (record 2): not valid JSON: Unterminated string starting at"),
        ('[{"a": 1},\n\n{"a" 1}, {"a": 2}, {"a": 3}]', ":3 (record 2): not valid JSON: Expecting ':' delimiter"),
        ('[{"a": 1, "a": 2}]', ":1 (record 1): the key 'a' stands twice"),
        ('[{"a": 1}]\n[]', ":2: not valid JSON: text stands behind the end of the list"),
        ('[{"a": 1},\n{"a": 1180591620717411303424}]', ":2 (record 2): the integer 1180591620717411303424 does not fit"),
    ],
)
def test_what_is_broken_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match="^" + re.escape(f"{path}{message}")):
        open_source(str(path), cache_folder=tmp_path)


def test_invalid_utf8_names_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'[{"a": "\xc3\xa9"},\n{"a": "b"},\n{"a": "\xff"}]')
    for piece in (1, 5, 1000):
        monkeypatch.setattr(json_list, "PIECE", piece)
        with pytest.raises(DataError, match=re.escape(f"{path}:3: not valid UTF-8 (byte 0xff")):
            list(json_list.records(path))


def test_an_empty_list_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(" [ ] \n")
    with pytest.raises(DataError, match=r"a\.json has no records"):
        open_source(str(path), cache_folder=tmp_path)
