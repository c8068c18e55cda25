"""Data-Juicer's key `dataset`: several datasets with weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from juicecap.recipe import Recipe, check

OPS = "process:\n  - video_captioning_from_vlm_mapper:\n      keep_original_sample: false\n"


def test_it_names_several_datasets(load: Callable[..., Recipe]) -> None:
    for name in ("a", "b c"):
        Path(f"{name}.mp4").touch()
        Path(f"{name}.jsonl").write_text(json.dumps({"videos": [f"{name}.mp4"]}) + "\n")
    recipe = load(
        "dataset:\n  configs:\n    - {type: local, path: a.jsonl, weight: 0.5}\n    - {path: b c.jsonl}\n  max_sample_num: 7\n"
        + OPS
    )
    assert (recipe.dataset_path, recipe.max_sample_num) == ("0.5 a.jsonl 1 'b c.jsonl'", 7)
    report = check(recipe)
    assert (report.problems, report.warnings, report.looked_at_rows) == ((), (), 2)


def test_one_dataset_is_its_path(load: Callable[..., Recipe]) -> None:
    assert load("dataset: {configs: [{type: local, path: a.jsonl}]}\n" + OPS).dataset_path == "a.jsonl"


@pytest.mark.parametrize("empty", ["null", "[]", "{}"])
def test_an_empty_one_names_nothing(load: Callable[..., Recipe], empty: str) -> None:
    recipe = load(f"dataset: {empty}\ndataset_path: a.jsonl\nexport_path: a.csv\n{OPS}")
    assert (recipe.dataset_path, recipe.max_sample_num, recipe.notices) == ("a.jsonl", None, ())


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a.jsonl", "dataset must be"),
        ("{max_sample_num: 3}", "dataset needs configs: a list of {type: local, path: …}"),
        (
            "{configs: [{type: s3, path: a}]}",
            "dataset.configs.0.type must be local, or remote with source: huggingface, not 's3'",
        ),
        ("{configs: [{path: a, weigth: 2}]}", "dataset.configs.0 has no key 'weigth'"),
        ("{configs: [{path: a, weight: 0}]}", "dataset.configs.0.weight must be a number larger than 0, not 0"),
        ("{configs: [7]}", "dataset.configs.0 must be a mapping with a path, not 7"),
        ("{configs: [{path: a}], max_sample_num: 0}", "dataset.max_sample_num must be a whole number from 1, not 0"),
    ],
)
def test_what_is_wrong_is_told(complain: Callable[..., str], value: str, told: str) -> None:
    assert told in complain(f"dataset: {value}\n{OPS}")


def test_two_words_for_the_data_are_one_too_many(complain: Callable[..., str]) -> None:
    told = complain(f"dataset_path: a.jsonl\ndataset: {{configs: [{{path: b.jsonl}}]}}\n{OPS}")
    assert "dataset and dataset_path are both set: keep one of them" in told
