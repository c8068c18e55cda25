"""A folder of tables, and a pattern, are one dataset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset

from juicecap.data.source import format_of, open_source
from juicecap.data.source.options import SourceOptions
from juicecap.errors import DataError
from juicecap.sample import ORIGIN, media_paths


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for number in (2, 0, 1):
        file = tmp_path / "data" / f"part-{number:03}.jsonl"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"video": f"{number}.mp4", **({"id": number} if number else {})}) + "\n")
    (tmp_path / "data/deep").mkdir()
    (tmp_path / "data/deep/part-003.jsonl").write_text('{"video": "3.mp4"}\n')
    (tmp_path / "data/README.txt").write_text("about these files\n")
    return tmp_path / "data"


def test_a_folder_of_tables_in_order_of_names(shards: Path, tmp_path: Path) -> None:
    dataset = open_source(str(shards), cache_folder=tmp_path)
    names = ["deep/3.mp4", "0.mp4", "1.mp4", "2.mp4"]
    assert [media_paths(row, "video") for row in dataset] == [[str(shards / name)] for name in names]
    assert [row[ORIGIN]["missing"] for row in dataset] == [["id"], ["id"], [], []]
    assert open_source(str(shards), cache_folder=tmp_path, limit=2)["video"] == ["3.mp4", "0.mp4"]


@pytest.mark.parametrize(
    ("pattern", "videos"),
    [
        ("part-*.jsonl", ["0.mp4", "1.mp4", "2.mp4"]),
        ("part-00[12].jsonl", ["1.mp4", "2.mp4"]),
        ("part-{000..001}.jsonl", ["0.mp4", "1.mp4"]),
        ("**/part-003.jsonl", ["3.mp4"]),
    ],
)
def test_a_pattern_names_several_files(shards: Path, tmp_path: Path, pattern: str, videos: list[str]) -> None:
    assert open_source(f"{shards}/{pattern}", cache_folder=tmp_path)["video"] == videos


def test_a_pattern_may_name_media(tmp_path: Path) -> None:
    for name in ("a1.mp4", "b1.mp4", "b2.mp4"):
        (tmp_path / name).touch()
    dataset = open_source(f"{tmp_path}/b*.mp4", cache_folder=tmp_path / "cache")
    assert [media_paths(row, "videos") for row in dataset] == [[str(tmp_path / name)] for name in ("b1.mp4", "b2.mp4")]


def test_tables_of_parquet_are_joined(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    Dataset.from_dict({"video": ["a.mp4"], "n": [1]}).to_parquet(folder / "0.parquet")
    Dataset.from_dict({"video": ["b.mp4", "c.mp4"], "n": ["x", None], "more": [True, False]}).to_parquet(folder / "1.parquet")
    dataset = open_source(str(folder), cache_folder=tmp_path)
    rows = [{key: value for key, value in row.items() if key != ORIGIN} for row in dataset]
    assert rows == [
        {"video": "a.mp4", "n": 1, "more": None},
        {"video": "b.mp4", "n": "x", "more": True},
        {"video": "c.mp4", "n": None, "more": False},
    ]
    assert [row[ORIGIN]["id"] for row in dataset] == ["0.parquet:1", "1.parquet:1", "1.parquet:2"]
    assert [row[ORIGIN]["missing"] for row in dataset] == [["more"], [], []]
    assert open_source(str(folder), cache_folder=tmp_path, limit=2)["video"] == ["a.mp4", "b.mp4"]


def test_media_win_over_tables_unless_suffixes_say_otherwise(shards: Path) -> None:
    (shards / "a.mp4").touch()
    assert format_of(str(shards)) == "folder"
    assert format_of(str(shards), SourceOptions(suffixes=(".jsonl",))) == "several"
    assert format_of(str(shards), SourceOptions(suffixes=(".mp4", ".jsonl"))) == "folder"


def test_files_of_several_kinds_are_named(shards: Path, tmp_path: Path) -> None:
    (shards / "x.csv").write_text("video\na.mp4\n")
    with pytest.raises(DataError, match=r"names files of several kinds, such as .*part-003\.jsonl, .*x\.csv\. Give a pattern"):
        open_source(str(shards), cache_folder=tmp_path)
    with pytest.raises(DataError, match=r"y-\*\.jsonl matches no file"):
        open_source(f"{shards}/y-*.jsonl", cache_folder=tmp_path)
    with pytest.raises(DataError, match=r"part-004\.jsonl does not exist, which .*\{003\.\.004\}"):
        open_source(f"{shards}/{{deep/,}}part-{{003..004}}.jsonl".replace("{deep/,}", "deep/"), cache_folder=tmp_path)
