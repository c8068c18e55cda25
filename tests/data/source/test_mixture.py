"""Several datasets, with weights, are one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset

from juicecap.data.source import open_source
from juicecap.data.source.mixture import Share, paths_of, sample_numbers, shares_of, written
from juicecap.errors import DataError
from juicecap.sample import ORIGIN, media_paths


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """A text with ten rows and a table with twenty, in folders of their own."""
    first, second = tmp_path / "one/a.jsonl", tmp_path / "other/b.parquet"
    first.parent.mkdir()
    second.parent.mkdir()
    first.write_text("".join(json.dumps({"video": f"a{number}.mp4", "id": number}) + "\n" for number in range(10)))
    Dataset.from_dict({"video": [f"b{number}.mp4" for number in range(20)]}).to_parquet(second)
    return first, second


def test_all_rows_in_order_each_against_its_folder(two: tuple[Path, Path], tmp_path: Path, said: list[str]) -> None:
    first, second = two
    dataset = open_source(f"0.5 {first} 0.25 {second}", cache_folder=tmp_path)
    assert dataset["video"] == [f"a{number}.mp4" for number in range(10)] + [f"b{number}.mp4" for number in range(20)]
    assert dataset["id"] == [*range(10), *[None] * 20]
    assert [row[ORIGIN]["missing"] for row in dataset] == [[]] * 10 + [["id"]] * 20
    assert media_paths(dataset[0], "video") == [str(first.parent / "a0.mp4")]
    assert media_paths(dataset[29], "video") == [str(second.parent / "b19.mp4")]
    assert said == [
        f"the weights of 0.5 {first} 0.25 {second} do nothing without max_sample_num: all rows of all datasets are taken"
    ]


def test_rows_are_drawn_by_weight(two: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = two
    path = f"3 {first} 1 {second}"
    drawn = open_source(path, cache_folder=tmp_path, max_sample_num=8, seed=1)["video"][:]
    assert [name[0] for name in drawn] == ["a"] * 6 + ["b"] * 2
    assert len(set(drawn)) == 8
    assert drawn == open_source(path, cache_folder=tmp_path, max_sample_num=8, seed=1)["video"][:]
    assert drawn != open_source(path, cache_folder=tmp_path, max_sample_num=8, seed=2)["video"][:]
    assert len(open_source(path, cache_folder=tmp_path, max_sample_num=100)) == 30
    assert open_source(path, cache_folder=tmp_path, max_sample_num=8, seed=1, limit=3)["video"][:] == drawn[:3]


def test_what_is_a_mixture(two: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = map(str, two)
    assert shares_of(f"{first} 2 {second}") == [Share(first, 1.0), Share(second, 2.0)]
    (tmp_path / "0.5 a b.jsonl").touch()
    assert shares_of(str(tmp_path / "0.5 a b.jsonl")) == []
    assert shares_of("my clips.jsonl") == []
    assert paths_of("my clips.jsonl") == ["my clips.jsonl"]
    shares = [Share("my clips.jsonl", 0.5), Share("it's.jsonl", 1)]
    assert shares_of(written(shares)) == shares
    with pytest.raises(DataError, match="the weight -1 of a dataset must be larger than 0"):
        shares_of(f"-1 {first} 1 {second}")


@pytest.mark.parametrize(
    ("weights", "most", "numbers"), [([1, 1, 1], 10, [4, 3, 3]), ([0.7, 0.3], 10, [7, 3]), ([1, 100], 5, [0, 5]), ([2.5], 4, [4])]
)
def test_shares(weights: list[float], most: int, numbers: list[int]) -> None:
    assert sample_numbers(weights, most) == numbers
