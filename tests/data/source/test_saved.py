"""A saved dataset is used where it lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset, Value

from juicecap.data.source import open_source
from juicecap.errors import DataError
from juicecap.sample import ORIGIN

pytestmark = pytest.mark.process


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    Dataset.from_dict({"n": [1, 2, 3], "t": ["007", None, "x"]}).with_format("numpy").save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def test_rows_their_origin_and_their_file(saved: Path, tmp_path: Path) -> None:
    dataset = open_source(str(saved), cache_folder=tmp_path / "cache")
    assert dataset[1] == {"n": 2, "t": None, ORIGIN: {"id": "saved:2", "folder": str(tmp_path), "missing": []}}
    assert type(dataset[0]["n"]) is int
    assert dataset.features["n"] == Value("int64")
    folders = {Path(file["filename"]).parent for file in dataset.cache_files}
    assert folders == {saved, tmp_path / "cache"}


def test_limit_and_fingerprint(saved: Path, tmp_path: Path) -> None:
    first = open_source(str(saved), cache_folder=tmp_path)
    limited = open_source(str(saved), cache_folder=tmp_path, limit=2)
    assert limited["n"] == [1, 2]
    assert [origin["id"] for origin in limited[ORIGIN]] == ["saved:1", "saved:2"]
    assert open_source(str(saved), cache_folder=tmp_path)._fingerprint == first._fingerprint != limited._fingerprint


def test_an_origin_of_an_earlier_dataset_is_kept_and_json_is_exact(tmp_path: Path) -> None:
    source = tmp_path / "clips.jsonl"
    source.write_text('{"a": "7"}\n{"a": NaN}\n')
    open_source(str(source), cache_folder=tmp_path).save_to_disk(tmp_path / "far" / "saved")
    dataset = open_source(str(tmp_path / "far" / "saved"), cache_folder=tmp_path)
    assert str(list(dataset["a"])) == "['7', nan]"
    assert dataset[1][ORIGIN] == {"id": "clips.jsonl:2", "folder": str(tmp_path), "missing": []}


def test_a_damaged_folder_is_named(saved: Path, tmp_path: Path) -> None:
    next(saved.glob("data-*.arrow")).write_bytes(b"x")
    with pytest.raises(DataError, match=r"saved is damaged: .*Save the dataset again"):
        open_source(str(saved), cache_folder=tmp_path)
    (saved / "state.json").write_text("{")
    with pytest.raises(DataError, match=r"saved is damaged"):
        open_source(str(saved), cache_folder=tmp_path)


def test_a_reserved_column_and_no_rows_are_refused(tmp_path: Path) -> None:
    Dataset.from_dict({ORIGIN: ["x"]}).save_to_disk(tmp_path / "reserved")
    with pytest.raises(DataError, match=f"'{ORIGIN}' is reserved"):
        open_source(str(tmp_path / "reserved"), cache_folder=tmp_path)
    Dataset.from_dict({"a": []}).save_to_disk(tmp_path / "none")
    with pytest.raises(DataError, match="none has no records"):
        open_source(str(tmp_path / "none"), cache_folder=tmp_path)
