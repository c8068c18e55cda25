"""What stands at a path is recognised, cached by its state, and named in errors."""

from __future__ import annotations

import os
from pathlib import Path

import datasets
import pytest
from datasets import Dataset, DatasetDict

from juicecap.data.export import write_export
from juicecap.data.infer import infer_columns
from juicecap.data.source import FORMATS, format_of, open_source
from juicecap.errors import ArgumentError, DataError
from juicecap.sample import ORIGIN, media_paths


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    path = tmp_path / "clips.jsonl"
    path.write_text('{"videos": ["a.mp4"], "n": 1}\n\n{"videos": ["b.mp4"]}\n{"videos": ["c.mp4"], "n": null}\n')
    return path


def test_each_row_knows_where_it_came_from(clips: Path, tmp_path: Path) -> None:
    dataset = open_source(str(clips), cache_folder=tmp_path / "cache")
    assert dataset[ORIGIN] == [
        {"id": "clips.jsonl:1", "folder": str(tmp_path), "missing": []},
        {"id": "clips.jsonl:3", "folder": str(tmp_path), "missing": ["n"]},
        {"id": "clips.jsonl:4", "folder": str(tmp_path), "missing": []},
    ]
    assert dataset["n"] == [1, None, None]


def test_a_path_may_be_a_path_and_nothing_else(clips: Path, tmp_path: Path) -> None:
    assert open_source(clips, cache_folder=tmp_path / "cache")["n"] == [1, None, None]
    with pytest.raises(ArgumentError, match=r"^load_dataset takes a path, or the name of a dataset on the Hub, not "):
        open_source(Dataset.from_dict({"a": [1]}), cache_folder=tmp_path / "cache")
    with pytest.raises(ArgumentError, match=r"^limit= takes a whole number, not '3'$"):
        open_source(clips, limit="3", cache_folder=tmp_path / "cache")


def test_a_relative_path_gives_an_absolute_folder(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = open_source("clips.jsonl", cache_folder=tmp_path / "cache")[0]
    assert media_paths(row, "videos") == [str(tmp_path / "a.mp4")]


def test_the_arrow_file_is_written_once_and_memory_mapped(clips: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = open_source(str(clips), cache_folder=cache)
    (name,) = os.listdir(cache)
    assert first.cache_files == [{"filename": str(cache / name)}]
    before = (cache / name).stat().st_mtime_ns
    second = open_source(str(clips), cache_folder=cache)
    assert (cache / name).stat().st_mtime_ns == before
    assert first._fingerprint == second._fingerprint
    assert open_source(str(clips), cache_folder=tmp_path / "other")._fingerprint == first._fingerprint


def test_a_change_or_a_limit_gives_another_fingerprint(clips: Path, tmp_path: Path) -> None:
    first = open_source(str(clips), cache_folder=tmp_path)
    limited = open_source(str(clips), cache_folder=tmp_path, limit=2)
    assert [row["videos"] for row in limited] == [["a.mp4"], ["b.mp4"]]
    text = clips.read_text()
    clips.write_text(text.replace("a.mp4", "z.mp4"))
    os.utime(clips, ns=(1, 1))
    changed = open_source(str(clips), cache_folder=tmp_path)
    assert changed[0]["videos"] == ["z.mp4"]
    assert len({first._fingerprint, limited._fingerprint, changed._fingerprint}) == 3


def test_a_limit_spares_later_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{broken\n')
    assert open_source(str(path), cache_folder=tmp_path, limit=1)["a"] == [1]


def test_a_source_that_changes_meanwhile_is_noticed(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def infer_then_append(records: object) -> object:
        found = infer_columns(records)  # type: ignore[arg-type]
        with clips.open("a") as stream:
            stream.write('{"videos": ["d.mp4"], "new": 1}\n')
        return found

    monkeypatch.setattr("juicecap.data.table.infer_columns", infer_then_append)
    with pytest.raises(DataError, match=r"clips\.jsonl changed while it was read"):
        open_source(str(clips), cache_folder=tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_the_default_cache_is_in_that_of_datasets(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    (file,) = open_source(str(clips)).cache_files
    assert Path(file["filename"]).parent == tmp_path / "hf" / "juicecap"


def test_formats_are_recognised(tmp_path: Path) -> None:
    for name in ("a.csv", "a.JSONL", "a.json", "a.parquet", "a.tsv", "a.MP4"):
        (tmp_path / name).touch()
    Dataset.from_dict({"a": [1]}).save_to_disk(tmp_path / "saved")
    names = ["a.csv", "a.JSONL", "a.json", "a.parquet", "a.tsv", "a.MP4", "saved", ""]
    found = [format_of(str(tmp_path / name)) for name in names]
    assert found == ["csv", "jsonl", "json", "parquet", "tsv", "folder", "saved", "folder"]
    assert format_of("org/name") == "hub"
    assert list(FORMATS) == sorted(FORMATS)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone.jsonl", "gone.jsonl does not exist"),
        ("data/gone.jsonl", "data/gone.jsonl does not exist"),
        ("data/gone.mp4", "data/gone.mp4 does not exist"),
        ("./gone", "./gone does not exist"),
        ("/gone/away", "/gone/away does not exist"),
        ("", "the path of the dataset is empty"),
        ("/dev/null", "/dev/null is neither a file nor a folder"),
    ],
)
def test_nothing_to_read_is_an_error(path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"^{message}"):
        open_source(path, cache_folder=tmp_path)


def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_text("x")
    message = (
        r"suffix '\.xlsx' is unknown\. Known are \.csv, .*\(text also packed, with \.gz or \.zst behind it\), and videos: \.264"
    )
    with pytest.raises(DataError, match=message):
        open_source(str(tmp_path / "a.xlsx"), cache_folder=tmp_path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv"])
@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_a_file_without_records_says_so(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=rf"{name} has no records"):
        open_source(str(tmp_path / name), cache_folder=tmp_path)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(clips: Path, tmp_path: Path, limit: int) -> None:
    with pytest.raises(DataError, match=f"the limit for .*clips.jsonl is {limit}; it must be at least 1"):
        open_source(str(clips), cache_folder=tmp_path, limit=limit)


def test_several_splits_are_named(tmp_path: Path) -> None:
    split = Dataset.from_dict({"a": [1]})
    DatasetDict({"train": split, "test": split}).save_to_disk(tmp_path / "dict")
    with pytest.raises(DataError, match=r"holds splits.*dict/test, .*dict/train"):
        open_source(str(tmp_path / "dict"), cache_folder=tmp_path)


def test_many_records_are_read_in_chunks_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(2501)))
    dataset = open_source(str(path), cache_folder=tmp_path)
    assert dataset["n"] == list(range(2501))
    assert dataset[2500][ORIGIN]["id"] == "many.jsonl:2501"
    assert [len(batch) for batch in dataset.data.table.to_batches()] == [1000, 1000, 501]
    assert write_export(dataset, tmp_path / "out.jsonl") == 2501
