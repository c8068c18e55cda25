"""Whole runs over columns inside of objects: read, written, exported with their shape, and found by `check`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import Dataset

import juicecap
from juicecap.recipe import check, load_recipe

pytestmark = pytest.mark.process

CLIP = Path(__file__).parents[2] / "recipes" / "clips" / "clip_01.mp4"
ROWS = [
    {"id": 1, "media": {"video": "clips/a.mp4", "text": " one\u2003clip "}},
    {"id": 2, "media": {"video": "clips/none.mp4", "text": "two"}},
    {"id": 3, "media": None},
]
PROCESS = [
    {"whitespace_normalization_mapper": {"text_key": "media.text"}},
    {"video_resolution_filter": {"video_key": "media.video", "min_width": 1}},
]


def as_jsonl(folder: Path) -> Path:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return folder / "rows.jsonl"


def as_json(folder: Path) -> Path:
    (folder / "rows.json").write_text(json.dumps(ROWS))
    return folder / "rows.json"


def as_parquet(folder: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "rows.parquet")
    return folder / "rows.parquet"


def as_saved(folder: Path) -> Path:
    Dataset.from_list(ROWS).save_to_disk(folder / "saved")
    return folder / "saved"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data/clips").mkdir(parents=True)
    shutil.copy(CLIP, tmp_path / "data/clips/a.mp4")
    return tmp_path / "data"


def written(data: Path, dataset: Path, process: list[Any], **keys: Any) -> Path:
    recipe = {"dataset_path": str(dataset), "export_path": str(data.parent / "out/rows.jsonl"), "process": process, **keys}
    (data.parent / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return data.parent / "recipe.yaml"


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("make", [as_jsonl, as_json, as_parquet, as_saved])
def test_they_are_read_and_written_and_keep_their_shape(data: Path, make: Callable[[Path], Path]) -> None:
    recipe = written(data, make(data), PROCESS, max_rejected=1)
    juicecap.run(recipe)
    assert read(data.parent / "out/rows.jsonl") == [
        {"id": 1, "media": {"video": "../data/clips/a.mp4", "text": "one clip"}},
        {"id": 3, "media": None},
    ]
    (rejected,) = read(data.parent / "out/rows.run/rejected.jsonl")
    assert (rejected["code"], rejected["sample"]["media"]["video"]) == ("FILE_NOT_FOUND", "clips/none.mp4")
    assert f"{data}/clips/none.mp4 does not exist" in rejected["message"]


@pytest.mark.parametrize("make", [as_jsonl, as_json, as_parquet, as_saved])
def test_check_knows_them_and_their_near_names(data: Path, make: Callable[[Path], Path]) -> None:
    report = check(load_recipe(written(data, make(data), PROCESS)))
    assert report.problems == ()
    assert [each.message.partition(";")[0] for each in report.warnings] == [
        "1 of 2 entries looked at in column 'media.video' cannot be used"
    ]
    report = check(load_recipe(written(data, make(data), [{"video_resolution_filter": {"video_key": "media.vidoe"}}])))
    (problem,) = report.problems
    assert problem.message == (
        "video_resolution_filter[1]: the data has no column 'media.vidoe', which video_key names; "
        "it has id, media, media.video, media.text"
    )
    assert problem.hint == "did you mean 'media.video'?"


def test_a_run_finds_those_that_are_missing_too(data: Path) -> None:
    recipe = written(data, as_parquet(data), [{"video_resolution_filter": {"video_key": "media.vidoe"}}])
    with pytest.raises(juicecap.errors.RecipeError, match=r"the data has no column 'media\.vidoe'"):
        juicecap.run(recipe)


def test_objects_with_changing_keys(data: Path) -> None:
    rows = [{"media": {"video": "clips/a.mp4", "n": 1}}, {"media": {"n": "x"}}, {"media": {"text": "b\u2003c", "n": 0.5}}]
    (data / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    juicecap.run(written(data, data / "rows.jsonl", PROCESS))
    assert read(data.parent / "out/rows.jsonl") == [
        {"media": {"video": "../data/clips/a.mp4", "n": 1}},
        {"media": {"n": "x"}},
        {"media": {"text": "b c", "n": 0.5}},
    ]


def test_a_column_of_that_very_name_wins(data: Path) -> None:
    rows = [{"media.text": "a\u2003b", "media": {"text": "c\u2003d"}}]
    (data / "rows.jsonl").write_text(json.dumps(rows[0]) + "\n")
    juicecap.run(written(data, data / "rows.jsonl", PROCESS[:1]))
    assert read(data.parent / "out/rows.jsonl") == [{"media.text": "a b", "media": {"text": "c\u2003d"}}]
