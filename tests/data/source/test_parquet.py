"""Parquet keeps its own types and an origin that it carries."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Json, Value

from juicecap.data.export import write_export
from juicecap.data.source import open_source
from juicecap.errors import DataError
from juicecap.sample import FATE, ORIGIN, media_paths

pytestmark = pytest.mark.process


def write(tmp_path: Path, table: pa.Table, **options: int) -> str:
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, **options)
    return str(path)


def test_types_and_values_are_kept(tmp_path: Path) -> None:
    when = dt.datetime(2024, 1, 2, 3, 4, 5, 678)
    table = pa.table(
        {
            "u": pa.array([2**64 - 1, None], pa.uint64()),
            "f": pa.array([0.5, 1.5], pa.float32()),
            "t": pa.array(["007", "NA"], pa.large_string()),
            "b": pa.array([b"\xff", b""], pa.binary()),
            "w": pa.array([when, None], pa.timestamp("us")),
            "s": pa.array([{"x": [1]}, None]),
            "c": pa.array(["red", "red"]).dictionary_encode(),
        }
    )
    dataset = open_source(write(tmp_path, table), cache_folder=tmp_path)
    assert dataset.remove_columns([ORIGIN])[:] == {**table.to_pydict()}
    assert dataset.features["u"] == Value("uint64")
    assert dataset.features["f"] == Value("float32")
    assert dataset.features["w"] == Value("timestamp[us]")
    assert dataset.features["c"] == Value("string")
    assert dataset[1][ORIGIN] == {"id": "a.parquet:2", "folder": str(tmp_path), "missing": []}


def test_rows_beyond_one_batch_are_numbered_on_and_limited(tmp_path: Path) -> None:
    path = write(tmp_path, pa.table({"n": range(2500)}), row_group_size=700)
    dataset = open_source(path, cache_folder=tmp_path)
    assert dataset["n"] == list(range(2500))
    assert [origin["id"] for origin in dataset[ORIGIN]] == [f"a.parquet:{n}" for n in range(1, 2501)]
    assert open_source(path, cache_folder=tmp_path, limit=1001)["n"] == list(range(1001))


def test_an_origin_of_an_earlier_dataset_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "clips.jsonl"
    source.write_text('{"a": 1}\n{"a": 1.5, "b": "x"}\n')
    earlier = open_source(str(source), cache_folder=tmp_path)
    (tmp_path / "far").mkdir()
    pq.write_table(earlier.with_format("arrow")[:], tmp_path / "far" / "b.parquet")
    dataset = open_source(str(tmp_path / "far" / "b.parquet"), cache_folder=tmp_path)
    assert dataset[0][ORIGIN] == {"id": "clips.jsonl:1", "folder": str(tmp_path), "missing": ["b"]}
    assert dataset.features["a"] == Json()
    write_export(dataset, tmp_path / "out.jsonl")
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [{"a": 1}, {"a": 1.5, "b": "x"}]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    cases = [
        (pa.table({ORIGIN: ["x"]}), f"the column name '{ORIGIN}' is reserved"),
        (pa.table({FATE: ["x"]}), f"the column name '{FATE}' is reserved"),
        (pa.table({"a": pa.array([], pa.int64())}), "has no records"),
        (pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), "two columns are named 'a'"),
    ]
    for table, message in cases:
        with pytest.raises(DataError, match=rf"a\.parquet:? ?{message}"):
            open_source(write(tmp_path, table), cache_folder=tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1 not really PAR1", b"text"])
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet: .*Write the file again"):
        open_source(str(tmp_path / "a.parquet"), cache_folder=tmp_path)


def test_raw_bytes_that_are_media_become_files(tmp_path: Path) -> None:
    film, picture = b"\0\0\0\x18ftypmp42film", b"\x89PNG\r\n\x1a\npicture"
    others = {"vector": [b"\1\2", b"\3"], "paper": [b"%PDF-1.7", None]}
    table = pa.table({"video": [film, None], "images": [[picture, picture], []], **others})
    pq.write_table(table, tmp_path / "a.parquet")
    dataset = open_source(str(tmp_path / "a.parquet"), cache_folder=tmp_path / "cache", media_home=tmp_path / "media")
    assert [Path(path).read_bytes() for path in media_paths(dataset[0], "video")] == [film]
    assert [Path(path).read_bytes() for path in media_paths(dataset[0], "images")] == [picture, picture]
    assert Path(dataset[0]["video"]).suffix == ".mp4"
    assert Path(dataset[0]["video"]).is_relative_to(tmp_path / "media")
    assert (dataset[1]["video"], dataset[1]["images"]) == (None, [])
    assert {name: list(dataset[name]) for name in others} == others
