"""Folders of media whose rows stand in a metadata file: whatever its column is called, and in `train/` and `test/`."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from juicecap.data.source import format_of, open_source
from juicecap.sample import ORIGIN, media_paths, visible


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (path.parent / "a.mp4").touch()


def rows(folder: Path, cache: Path, **options: object) -> list[dict]:
    return [
        {key: value for key, value in row.items() if key != ORIGIN}
        for row in open_source(str(folder), cache_folder=cache, **options)
    ]


@pytest.mark.parametrize("column", ["file_name", "video", "video_file_name", "path", "clip"])
def test_the_column_of_names_may_have_any_name(tmp_path: Path, column: str) -> None:
    write(tmp_path / "data/metadata.csv", f"prompt,{column}\nfirst,a.mp4\n")
    assert rows(tmp_path / "data", tmp_path) == [{"prompt": "first", column: "a.mp4", "videos": ["a.mp4"]}]
    assert rows(tmp_path / "data/metadata.csv", tmp_path, video_key="film") == [
        {"prompt": "first", column: "a.mp4", "film": ["a.mp4"]}
    ]


def test_a_column_that_the_recipe_names_stays_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "data/metadata.jsonl", '{"video": "a.mp4", "prompt": "first"}\n')
    assert rows(tmp_path / "data", tmp_path, video_key="video") == [{"video": "a.mp4", "prompt": "first"}]


def test_metadata_of_splits_are_read_against_their_own_folders(tmp_path: Path) -> None:
    for split in ("test", "train"):
        write(tmp_path / "data" / split / "metadata.jsonl", json.dumps({"file_name": "a.mp4", "prompt": split}) + "\n")
    dataset = open_source(str(tmp_path / "data"), cache_folder=tmp_path)
    assert dataset["prompt"] == ["train", "test"]
    assert [media_paths(row, "videos") for row in dataset] == [
        [str(tmp_path / "data" / split / "a.mp4")] for split in ("train", "test")
    ]


@pytest.mark.parametrize("path", ["data", "data/videos2caption.json"])
def test_videos2caption_names_what_lies_in_videos(tmp_path: Path, path: str) -> None:
    write(tmp_path / "data/videos2caption.json", json.dumps([{"path": "a.mp4", "cap": ["A", "a"]}, {"path": "b.mp4", "cap": []}]))
    (tmp_path / "data/videos").mkdir()
    (tmp_path / "data/videos/a.mp4").touch()
    (tmp_path / "data/a.mp4").unlink()
    assert format_of(str(tmp_path / path)) == "metadata"
    assert rows(tmp_path / path, tmp_path) == [
        {"path": "a.mp4", "cap": ["A", "a"], "videos": ["videos/a.mp4"]},
        {"path": "b.mp4", "cap": [], "videos": ["b.mp4"]},
    ]


def test_metadata_without_names_leaves_the_folder_one_of_media_and_that_is_said(tmp_path: Path, said: list[str]) -> None:
    write(tmp_path / "data/metadata.csv", "prompt,mood\nfirst,calm\n")
    (tmp_path / "data/b.png").touch()
    assert format_of(str(tmp_path / "data")) == "folder"
    assert rows(tmp_path / "data", tmp_path) == [{"videos": ["a.mp4"]}]
    assert said == [f"{tmp_path}/data: 2 files are passed over: pictures beside videos (1), suffix .csv (1)"]


def write_parquet(path: Path, *rows: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    for name in ("a.mp4", "b.png"):
        (path.parent / name).touch()


@pytest.mark.process
@pytest.mark.parametrize("column", ["file_name", "clip"])
def test_parquet_with_its_own_types(tmp_path: Path, column: str) -> None:
    write_parquet(tmp_path / "data/metadata.parquet", {"n": 7, column: "a.mp4"}, {"n": 8, column: None})
    assert format_of(str(tmp_path / "data")) == "metadata"
    dataset = open_source(str(tmp_path / "data"), cache_folder=tmp_path)
    assert [visible(row) for row in dataset] == [{"n": 7, column: "a.mp4", "videos": ["a.mp4"]}, {"n": 8, column: None}]
    assert media_paths(dataset[0], "videos") == [str(tmp_path / "data/a.mp4")]
    assert [row[ORIGIN]["id"] for row in dataset] == ["metadata.parquet:1", "metadata.parquet:2"]
    (row, *_) = open_source(str(tmp_path / "data/metadata.parquet"), cache_folder=tmp_path, video_key=column)
    assert visible(row) == {"n": 7, column: "a.mp4"}


@pytest.mark.process
def test_parquet_of_splits_beside_other_formats(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/train/metadata.parquet", {"clip": "a.mp4", "n": 1}, {"clip": "b.png", "n": 2})
    write(tmp_path / "data/test/metadata.jsonl", '{"clip": "a.mp4", "text": "x"}\n')
    dataset = open_source(str(tmp_path / "data"), cache_folder=tmp_path)
    assert [visible(row) for row in dataset] == [
        {"clip": "a.mp4", "n": 1, "videos": ["a.mp4"]},
        {"clip": "b.png", "n": 2, "images": ["b.png"]},
        {"clip": "a.mp4", "text": "x", "videos": ["a.mp4"]},
    ]
    assert media_paths(dataset[1], "images") == [str(tmp_path / "data/train/b.png")]
    assert media_paths(dataset[2], "videos") == [str(tmp_path / "data/test/a.mp4")]
    assert [row["n"] for row in open_source(str(tmp_path / "data"), cache_folder=tmp_path, limit=1)] == [1]


@pytest.mark.process
def test_parquet_without_names_of_media_leaves_the_folder_one_of_media(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/metadata.parquet", {"prompt": "first"})
    assert format_of(str(tmp_path / "data")) == "folder"
    (tmp_path / "data/metadata.parquet").write_bytes(b"PAR1")
    assert format_of(str(tmp_path / "data")) == "folder"
