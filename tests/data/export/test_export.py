"""What is written is whole, counted, and holds what the dataset holds."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import Dataset, load_dataset

from juicecap.data.columns import features_of
from juicecap.data.exact_json import encode_batch
from juicecap.data.export import FORMATS, jsonl, write_export
from juicecap.data.source import open_source
from juicecap.errors import BugError, DataError, EnvironmentFailure
from juicecap.sample import FATE, ORIGIN

LINES = (
    '{"z": "é\U0001f3ac", "m": 1, "l": ["a", null], "d": {"k": NaN, "n": 1}}',
    '{"z": "", "m": 1.5, "l": [], "d": {"k": 0.30000000000000004, "n": null}}',
    '{"z": null, "m": "007", "extra": true}',
)


WRITTEN = [line.replace("NaN", "null") for line in LINES]
"""JSON has no NaN."""


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(LINES), encoding="utf-8")
    return open_source(str(path), cache_folder=tmp_path / "cache").add_column(FATE, ["ok"] * 3)


def test_jsonl_is_the_source_again(dataset: Dataset, tmp_path: Path) -> None:
    assert write_export(dataset, tmp_path / "deep" / "out.jsonl") == 3
    assert (tmp_path / "deep" / "out.jsonl").read_bytes() == ("\n".join(WRITTEN) + "\n").encode()
    assert os.listdir(tmp_path / "deep") == ["out.jsonl"]


def test_json_is_a_list_with_a_record_per_line(dataset: Dataset, tmp_path: Path) -> None:
    assert write_export(dataset, str(tmp_path / "out.json")) == 3
    assert (tmp_path / "out.json").read_text("utf-8") == "[\n" + ",\n".join(WRITTEN) + "\n]\n"


def test_csv_cells(dataset: Dataset, tmp_path: Path) -> None:
    assert write_export(dataset, tmp_path / "out.csv") == 3
    assert (tmp_path / "out.csv").read_bytes().decode() == (
        "z,m,l,d,extra\r\n"
        'é\U0001f3ac,1,"[""a"", null]","{""k"": null, ""n"": 1}",\r\n'
        ',1.5,[],"{""k"": 0.30000000000000004, ""n"": null}",\r\n'
        ",007,,,true\r\n"
    )


def test_csv_keeps_line_breaks_and_quotes_in_cells(tmp_path: Path) -> None:
    values = ["a\nb", "c\rd", 'e"f', "g,h", "", " i "]
    assert write_export(Dataset.from_dict({"a": values}), tmp_path / "out.csv") == 6
    assert open_source(str(tmp_path / "out.csv"), cache_folder=tmp_path)["a"] == values


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
    '=HYPERLINK("http://x","y")',
]


def test_csv_formulas_are_kept_or_marked_as_texts(tmp_path: Path) -> None:
    texts = [*FORMULAS, "a=b", " =1", "", None, "'=1", '"=1']
    rows = Dataset.from_dict(
        {"=cmd|'/C calc'!A0": texts, "n": [-number / 2 for number in range(len(texts))], "l": [["=1"]] * len(texts)}
    )
    assert write_export(rows, tmp_path / "raw.csv") == len(texts)
    assert write_export(rows, tmp_path / "out.csv", csv_formulas="escape") == len(texts)
    cells = []
    for name in ("raw.csv", "out.csv"):
        with open(tmp_path / name, encoding="utf-8", newline="") as stream:
            cells.append(list(csv.reader(stream, strict=True)))
    raw, escaped = cells
    assert raw[0] == ["=cmd|'/C calc'!A0", "n", "l"]
    assert [row[0] for row in raw[1:]] == [text or "" for text in texts]
    assert escaped[0] == ["'=cmd|'/C calc'!A0", "n", "l"]
    assert [row[0] for row in escaped[1:]] == [*(f"'{text}" for text in FORMULAS), "a=b", " =1", "", "", "'=1", '"=1']
    assert [row[1:] for row in escaped[1:]] == [row[1:] for row in raw[1:]], "numbers and lists are no formulas"
    assert escaped[2][1] == "-0.5"


@pytest.mark.parametrize("name", ["jsonl", "json", "parquet"])
def test_other_formats_have_no_formulas(tmp_path: Path, name: str) -> None:
    rows = Dataset.from_dict({"=a": FORMULAS})
    for choice in ("raw", "escape"):
        write_export(rows, tmp_path / f"{choice}.{name}", csv_formulas=choice)
    assert (tmp_path / f"raw.{name}").read_bytes() == (tmp_path / f"escape.{name}").read_bytes()


def test_parquet_has_types_and_json_as_text(dataset: Dataset, tmp_path: Path) -> None:
    assert write_export(dataset, tmp_path / "out.parquet") == 3
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["z", "m", "l", "d", "extra"]
    assert table["m"].to_pylist() == ["1", "1.5", '"007"']
    assert table["l"].to_pylist() == [["a", None], [], None]
    assert load_dataset("parquet", data_files=str(tmp_path / "out.parquet"), split="train", cache_dir=str(tmp_path))["m"] == [
        1,
        1.5,
        "007",
    ]
    assert open_source(str(tmp_path / "out.parquet"), cache_folder=tmp_path)["m"] == [1, 1.5, "007"]


def test_a_missing_key_that_was_filled_is_written(dataset: Dataset, tmp_path: Path) -> None:
    features = dataset.features
    filled = dataset.map(
        lambda batch: encode_batch({**batch, "extra": [False, None, None]}, features), batched=True, features=features
    )
    write_export(filled.with_format("numpy"), tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [row.get("extra", "missing") for row in rows] == [False, "missing", None]
    assert rows[2] == {"z": None, "m": "007", "extra": None}
    assert type(rows[0]["m"]) is int


def test_a_dataset_without_origin_is_written_whole(tmp_path: Path) -> None:
    write_export(Dataset.from_dict({"b": [1, None], "a": [None, "x"]}), tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == '{"b": 1, "a": null}\n{"b": null, "a": "x"}\n'


@pytest.mark.parametrize(("name", "content"), [("out.jsonl", ""), ("out.json", "[]\n"), ("out.csv", "a\r\n")])
def test_no_rows_give_a_file_without_rows(name: str, content: str, tmp_path: Path) -> None:
    empty = Dataset.from_dict({"a": []}, features=features_of({"a": "text"}))
    assert write_export(empty, tmp_path / name) == 0
    assert (tmp_path / name).read_bytes().decode() == content
    assert write_export(empty, tmp_path / "out.parquet") == 0
    assert pq.read_table(tmp_path / "out.parquet").column_names == ["a"]


def test_rows_beyond_one_batch_stay_in_order(tmp_path: Path) -> None:
    many = Dataset.from_dict({"n": list(range(4500))})
    for name in FORMATS:
        assert write_export(many, tmp_path / f"out.{name}") == 4500
        back = open_source(str(tmp_path / f"out.{name}"), cache_folder=tmp_path)
        assert [int(value) for value in back["n"]] == list(range(4500))


def test_the_format_is_that_of_the_suffix_or_as_given(dataset: Dataset, tmp_path: Path) -> None:
    write_export(dataset, tmp_path / "out.txt", format="jsonl")
    assert (tmp_path / "out.txt").read_bytes() == ("\n".join(WRITTEN) + "\n").encode()
    with pytest.raises(DataError, match=r"the suffix '\.txt' is unknown\. Use one of: csv, json, jsonl, parquet"):
        write_export(dataset, tmp_path / "out.txt")
    with pytest.raises(DataError, match="the format 'xml' is unknown"):
        write_export(dataset, tmp_path / "out.jsonl", format="xml")


def test_a_value_that_json_cannot_hold_is_named_and_the_old_file_stays(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("old")
    binary = Dataset.from_dict({"a": [b"x"], ORIGIN: [{"id": "f:7", "folder": "", "missing": []}]})
    with pytest.raises(DataError, match=r"f:7 cannot be written as text: .*bytes.*Export to \.parquet"):
        write_export(binary, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == "old"
    assert os.listdir(tmp_path) == ["out.jsonl"]


def test_a_wrong_count_is_a_bug_and_nothing_is_exported(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "visible", lambda sample: {} if sample["z"] else {"a": "x"})
    monkeypatch.setattr(jsonl, "json_text", lambda value, sample: json.dumps(value) if value else "")
    with pytest.raises(BugError, match="3 rows were written but 2 were read back"):
        write_export(dataset, tmp_path / "out" / "out.jsonl")
    assert os.listdir(tmp_path / "out") == []


def test_a_full_disk_and_a_folder_in_the_way(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is a folder"):
        write_export(dataset, tmp_path, format="jsonl")
    if Path("/dev/full").exists():
        with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
            jsonl.write(dataset, full)


@pytest.mark.parametrize("name", FORMATS)
def test_no_space_while_writing_is_the_environments_fault(
    name: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def full(self: Path, mode: str = "r", *args: object, **options: object) -> object:
        return open("/dev/full", "wb", buffering=0) if mode == "xb" else real(self, mode, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(EnvironmentFailure, match="no space left"):
        write_export(dataset, tmp_path / f"out.{name}")
    assert not (tmp_path / f"out.{name}").exists()


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv"])
def test_what_json_has_not_becomes_null(tmp_path: Path, suffix: str) -> None:
    rows = {"n": [float("nan"), 1.5, None], "m": [[float("inf"), 1.0], [], None]}
    pq.write_table(Dataset.from_dict(rows).with_format("arrow")[:], tmp_path / "a.parquet")
    file = tmp_path / f"b.{suffix}"
    write_export(open_source(str(tmp_path / "a.parquet"), cache_folder=tmp_path / "cache"), file)
    if suffix == "csv":
        assert file.read_text().splitlines() == ["n,m", ',"[null, 1.0]"', "1.5,[]", ","]
        return
    lines = file.read_text().splitlines() if suffix == "jsonl" else [json.dumps(row) for row in json.loads(file.read_text())]
    assert [json.loads(line, parse_constant=pytest.fail) for line in lines] == [
        {"n": None, "m": [None, 1.0]},
        {"n": 1.5, "m": []},
        {"n": None, "m": None},
    ]


def test_a_row_is_a_line_for_every_reader(tmp_path: Path) -> None:
    row = {"text": "a\u2028b\u2029c\x85d\x0be\x00f", "more": ["\u2028"]}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    write_export(open_source(str(tmp_path / "a.jsonl"), cache_folder=tmp_path / "cache"), tmp_path / "b.jsonl")
    (line,) = (tmp_path / "b.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == row
