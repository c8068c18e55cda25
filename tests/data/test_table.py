"""Tables carry a checksum: whatever happens to one is found out, and the table is made again."""

from __future__ import annotations

import shutil
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from juicecap.data.source import open_source
from juicecap.data.table import build_once, open_cached, rows_at_once, write_arrow
from juicecap.data.writing.checksum import verify_checksum

pytestmark = pytest.mark.usefixtures("one_child")

SCHEMA = pa.schema({"text": pa.string(), "n": pa.int64()})
PNG = (Path(__file__).parents[2] / "recipes" / "images" / "image_00.png").read_bytes()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.arrow"
    batches = (pa.record_batch([[f"good {part}", "schön"], [part, None]], schema=SCHEMA) for part in range(3))
    write_arrow(path, SCHEMA, batches)
    return path


def test_other_readers_do_not_see_the_checksum(table: Path) -> None:
    with pa.memory_map(str(table)) as stream:
        read = pa.ipc.open_stream(stream).read_all()
    assert read["text"].to_pylist() == ["good 0", "schön", "good 1", "schön", "good 2", "schön"]
    assert datasets.Dataset.from_file(str(table))["n"] == [0, None, 1, None, 2, None]


def test_a_flipped_bit_anywhere_is_damage(table: Path) -> None:
    whole = table.read_bytes()
    assert verify_checksum(table)
    for place in range(len(whole)):
        table.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert not verify_checksum(table), place


def test_a_file_that_ends_early_or_late_is_damage(table: Path, said: list[str]) -> None:
    whole = table.read_bytes()
    for content in (*(whole[:end] for end in range(len(whole))), whole + b"\0", whole + whole):
        table.write_bytes(content)
        assert not verify_checksum(table), len(content)
    assert open_cached(table, "f") is None
    assert said == [f"{table} is damaged (its checksum is not that of its content), so it is made again"]


def test_a_file_that_is_larger_than_a_block_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large.arrow"
    write_arrow(path, SCHEMA, (pa.record_batch([["x" * 1000] * 1000, range(1000)], schema=SCHEMA) for _ in range(3)))
    assert verify_checksum(path)
    whole = bytearray(path.read_bytes())
    for place in (2**20 - 1, 2**20, 2**21, len(whole) - 40):
        whole[place] ^= 4
        path.write_bytes(whole)
        assert not verify_checksum(path)
        whole[place] ^= 4


def test_what_cannot_be_read_is_damage_and_what_is_not_there_is_none(tmp_path: Path, said: list[str]) -> None:
    assert open_cached(tmp_path / "none.arrow", "f") is None
    assert said == []
    (tmp_path / "folder.arrow").mkdir()
    assert open_cached(tmp_path / "folder.arrow", "f") is None
    assert said == [f"{tmp_path / 'folder.arrow'} is damaged (Is a directory), so it is made again"]


def test_a_table_is_made_once(table: Path) -> None:
    def never() -> None:
        raise AssertionError

    assert build_once(table, "f", never)["n"] == [0, None, 1, None, 2, None]


def source(kind: str, folder: Path) -> Path:
    if kind == "jsonl":
        path = folder / "data.jsonl"
        path.write_text('{"a": "good 1"}\n{"a": "good 2"}\n')
        return path
    rows = {"a": ["good 1", "good 2"]}
    if kind == "parquet":
        pq.write_table(pa.table(rows), folder / "data.parquet")
        return folder / "data.parquet"
    features = datasets.Features({"a": datasets.Value("string"), **({"image": datasets.Image()} if "media" in kind else {})})
    values = {**rows, **({"image": [{"bytes": PNG, "path": None}] * 2} if "media" in kind else {})}
    info = datasets.DatasetInfo(features=features)
    datasets.Dataset(pa.table(values, schema=features.arrow_schema), info=info).save_to_disk(str(folder / "data"))
    return folder / "data"


@pytest.mark.parametrize(("kind", "tables"), [("jsonl", 1), ("parquet", 1), ("saved", 1), ("saved with media", 2)])
def test_damaged_tables_of_a_source_are_made_again(kind: str, tables: int, tmp_path: Path, said: list[str]) -> None:
    path, cache = source(kind, tmp_path), tmp_path / "cache"
    first = open_source(str(path), cache_folder=cache)
    before = [dict(row) for row in first]
    files = {file: file.read_bytes() for file in cache.rglob("*.arrow")}
    assert len(files) == tables
    for file, whole in files.items():
        for place in range(0, len(whole), 97):
            damaged = file.with_suffix(".new")
            damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])
            damaged.replace(file)
            again = open_source(str(path), cache_folder=cache)
            assert [dict(row) for row in again] == before
            assert again._fingerprint == first._fingerprint
            assert said == [f"{file} is damaged (its checksum is not that of its content), so it is made again"]
            assert file.read_bytes() == whole
            said.clear()


def test_a_source_that_was_replaced_with_its_size_and_time_is_read_again(tmp_path: Path) -> None:
    path, other, cache = tmp_path / "data.jsonl", tmp_path / "other.jsonl", tmp_path / "cache"
    path.write_text('{"a": "good 1"}\n')
    other.write_text('{"a": "good 2"}\n')
    shutil.copystat(path, other)
    assert open_source(str(path), cache_folder=cache)["a"] == ["good 1"]
    other.replace(path)
    assert open_source(str(path), cache_folder=cache)["a"] == ["good 2"]


def test_heavy_rows_are_fewer_at_once() -> None:
    light = datasets.Dataset.from_dict({"n": list(range(5000))})
    heavy = datasets.Dataset.from_dict({"text": ["x" * 100_000] * 40})
    assert [rows_at_once(each) for each in (light, heavy, heavy.select([1, 3]), light.select([]))] == [1000, 83, 83, 1000]
    assert rows_at_once(datasets.Dataset.from_dict({"text": ["x" * 20_000_000]})) == 1
