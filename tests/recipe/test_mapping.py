"""A recipe as a dict: what a file would hold, with the same checks; problems name the path of the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import juicecap
from juicecap.errors import RecipeError
from juicecap.recipe import load_recipe

PROCESS = [{"text_length_filter": {"min_len": 2}}, "whitespace_normalization_mapper"]


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(tmp_path)
    Path("data.jsonl").write_text('{"text": "a"}\n{"text": "b\\u3000c"}\n')
    return {"dataset_path": Path("data.jsonl"), "export_path": "out/x.jsonl", "process": PROCESS}


def problems(recipe: dict[Any, Any], **more: Any) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe({**recipe, **more})
    assert [each.line for each in caught.value.problems] == [None] * len(caught.value.problems)
    return str(caught.value).splitlines()


def test_it_is_the_recipe_that_a_file_with_the_same_content_is(recipe: dict[str, Any]) -> None:
    Path("recipe.yaml").write_text(yaml.safe_dump({**recipe, "dataset_path": "data.jsonl", "seed": 3}))
    given, read = load_recipe({**recipe, "seed": np.int64(3)}), load_recipe("recipe.yaml")
    assert given.resolved == read.resolved
    assert [step.op.fingerprint() for step in given.steps] == [step.op.fingerprint() for step in read.steps]
    assert given.path == Path("out/x.run/recipe.yaml")


def test_it_runs_from_the_working_folder_and_can_be_run_again_from_the_run_folder(recipe: dict[str, Any]) -> None:
    result = juicecap.run(recipe)
    assert [json.loads(line) for line in Path("out/x.jsonl").read_text().splitlines()] == [{"text": "b c"}]
    written = result.work_dir / "recipe.yaml"
    first, *body = written.read_text().splitlines()
    assert first.startswith(f"# A recipe given in Python as juicecap {juicecap.__version__} ran it.")
    assert yaml.safe_load("\n".join(body)) == {**recipe, "dataset_path": "data.jsonl"}
    again = juicecap.run(written)
    assert [step.finished_before for step in again.steps] == [True, True]
    assert recipe["process"] is PROCESS
    assert PROCESS == [{"text_length_filter": {"min_len": 2}}, "whitespace_normalization_mapper"]


def test_its_shards_are_merged_by_the_recipe_that_they_leave(recipe: dict[str, Any]) -> None:
    results = [juicecap.run(recipe, shard=f"{number}/2") for number in (1, 2)]
    assert results[1].next.endswith("when all are: juicecap merge out/x.run/recipe.yaml")
    assert juicecap.merge("out/x.run/recipe.yaml").exported == 1
    assert juicecap.merge(recipe).exported == 1


def test_options_and_variables_work(recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORTEST", "1")
    given = {**recipe, "process": ({"text_length_filter": {"min_len": "${SHORTEST}"}},)}
    assert load_recipe(given).steps[0].op.min_len == 1
    assert load_recipe(given, ["text_length_filter.min_len=7"]).steps[0].op.min_len == 7
    assert juicecap.run(given, overrides=["text_length_filter.min_len=3"]).exported == 1


def test_problems_name_the_path_of_the_key(recipe: dict[str, Any]) -> None:
    process = [{"text_length_filter": {"min_lenn": 1, "max_len": "x"}}, {"qqqq": {}}]
    assert problems(recipe, process=process, export_pth="a") == [
        "export_pth: a recipe has no key 'export_pth'",
        "   did you mean 'export_path'?",
        "process[0].text_length_filter.min_lenn: text_length_filter[1] has no parameter 'min_lenn'",
        "   did you mean 'min_len'?  (juicecap ops text_length_filter)",
        "process[0].text_length_filter.max_len: text_length_filter[1]: max_len must be int >= 0 or null, not 'x'",
        "process[1].qqqq: there is no op 'qqqq'",
        "   (juicecap ops lists all)",
    ]
    assert problems({}) == ["process: process is missing: the list of ops"]
    assert problems(recipe, process={"text_length_filter": {}}) == ["process: process must be a list of ops"]


def test_what_no_recipe_can_hold(recipe: dict[str, Any]) -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert problems(recipe, seed={1}) == ["seed: a recipe holds plain values (texts, numbers, lists, dicts), not {1}"]
    assert problems(recipe, seed=2**65)[0].startswith("seed: a recipe holds plain values")
    assert problems(recipe, project_name="\ud800")[0].startswith("project_name: a recipe holds plain values")
    assert problems({**recipe, (1, 2): 3}) == ["recipe: a key must be a text, not (1, 2)"]
    assert problems(recipe, text_keys=loop) == [
        "text_keys[0][0]: nested deeper than 100 levels; that is no recipe",
    ]
    assert problems(recipe, text_keys=["a"] * 20_001)[0].endswith("there are more than 20,000 values; that is no recipe")
    with pytest.raises(TypeError, match=r"^a recipe is the path of a YAML file, or a dict .*, not \[1\]$"):
        load_recipe([1])  # type: ignore[arg-type]


def test_files_that_it_includes(recipe: dict[str, Any]) -> None:
    assert problems(recipe, include="gone.yaml") == ["include: include: gone.yaml: there is no such file"]
    Path("more.yaml").write_text("seed: 4\nmax_rejected: x\n")
    with pytest.raises(RecipeError, match=r"^more\.yaml:2:15: max_rejected must be a share"):
        load_recipe({**recipe, "include": "more.yaml"})
    Path("more.yaml").write_text("seed: 4\n")
    assert load_recipe({**recipe, "include": "more.yaml"}).seed == 4


def test_an_output_that_would_destroy_something(recipe: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"^export_path: export_path: data.jsonl is the dataset; the run would overwrite it"):
        juicecap.run({**recipe, "export_path": "data.jsonl"})
    Path("out/x.run").mkdir(parents=True)
    Path("out/x.run/recipe.yaml").write_text("mine: 1\n")
    with pytest.raises(RecipeError, match=r"the run would overwrite out/x.run/recipe.yaml, which lies in its run folder"):
        juicecap.run(recipe)
    assert Path("out/x.run/recipe.yaml").read_text() == "mine: 1\n"
