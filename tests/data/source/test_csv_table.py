"""Cells come as text, as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from datasets import Value

from juicecap.data.export import write_export
from juicecap.data.source import open_source
from juicecap.data.source.text.csv_table import records
from juicecap.errors import DataError
from juicecap.sample import ORIGIN, media_paths


def write(tmp_path: Path, content: bytes, name: str = "a.csv") -> str:
    path = tmp_path / name
    path.write_bytes(content)
    return str(path)


def test_nothing_is_taken_for_a_number_a_null_or_a_date(tmp_path: Path) -> None:
    path = write(tmp_path, b"id,b,c\n007,NA,\n1.0,null,2024-01-02\n18446744073709551616, x ,true\n")
    dataset = open_source(path, cache_folder=tmp_path)
    assert dataset["id"] == ["007", "1.0", "18446744073709551616"]
    assert dataset["b"] == ["NA", "null", " x "]
    assert dataset["c"] == ["", "2024-01-02", "true"]
    assert [dataset.features[name] for name in ("id", "b", "c")] == [Value("string")] * 3


def test_quotes_line_breaks_and_the_lines_on_which_rows_begin(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbf"a",b\r\n"x\r\ny","say ""hi"", \xc3\xa9"\r\n\r\nz,w\r\n')
    dataset = open_source(path, cache_folder=tmp_path)
    assert dataset["a"] == ["x\r\ny", "z"]
    assert dataset["b"] == ['say "hi", é', "w"]
    assert [origin["id"] for origin in dataset[ORIGIN]] == ["a.csv:2", "a.csv:5"]


def test_a_short_row_lacks_its_last_cells(tmp_path: Path) -> None:
    dataset = open_source(write(tmp_path, b"a,b,c\n1\n2,,\n"), cache_folder=tmp_path)
    assert dataset["b"] == [None, ""]
    assert [origin["missing"] for origin in dataset[ORIGIN]] == [["b", "c"], []]
    write_export(dataset, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == '{"a": "1"}\n{"a": "2", "b": "", "c": ""}\n'


def test_tabs_and_paths_in_a_json_list(tmp_path: Path) -> None:
    path = write(tmp_path, b'videos\tt\n"[""a,b.mp4"", ""c.mp4""]"\tx,y\n', "a.tsv")
    row = open_source(path, cache_folder=tmp_path)[0]
    assert row["t"] == "x,y"
    assert media_paths(row, "videos") == [str(tmp_path / "a,b.mp4"), str(tmp_path / "c.mp4")]


def test_a_cell_may_be_long_and_a_name_empty(tmp_path: Path) -> None:
    dataset = open_source(write(tmp_path, b",a\n0," + b"x" * 200_000 + b"\n"), cache_folder=tmp_path)
    assert dataset[0][""] == "0"
    assert dataset[0]["a"] == "x" * 200_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n1,2,3\n", ":3: has 3 cells where the header has 2."),
        (b"a,a\n1,2\n", ":1: the header names 'a' twice."),
        (b'a,b\n"x\ny"z,2\n', ":2: not a valid row: ',' expected after '\"'."),
        (b'a,b\n1,2\n"x\n', ":3: not a valid row: unexpected end of data."),
        (b"a,b\n1,2\n\xff,2\n", ":3: not valid UTF-8 (byte 0xff"),
        (b"__juicecap_origin__\n1\n", ":1: the name '__juicecap_origin__' is reserved"),
        (b"a,b\n", " has no records."),
    ],
)
def test_a_broken_row_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError, match="^" + re.escape(f"{path}{message}")):
        open_source(path, cache_folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "video;text\na.mp4;x\n", "it has one column, 'video;text'; is it separated by ';'?"),
        ("a.csv", "video\ttext\na.mp4\tx\n", r"it has one column, 'video\ttext'; is it separated by tabs?"),
        ("a.tsv", "video,text\na.mp4,x\n", "it has one column, 'video,text'; is it separated by ','?"),
    ],
)
def test_another_separator_is_named_and_not_guessed(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        list(records(tmp_path / name))
    assert f"{tmp_path / name}:1: {told}" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".txt"])
def test_utf_16_and_32_are_named(tmp_path: Path, encoding: str, suffix: str) -> None:
    texts = {".csv": "video,text\na.mp4,x\n", ".txt": "a.mp4\nb.mp4\n"}
    file = tmp_path / f"a{suffix}"
    file.write_bytes(texts.get(suffix, '[{"video": "a.mp4"}]').encode(encoding))
    with pytest.raises(DataError, match=rf"a\{suffix} is UTF-(16|32), not UTF-8\. Save the file as UTF-8\."):
        open_source(str(file), cache_folder=tmp_path / "cache")
