"""Where relative paths start, and what is offered where one exists from the other start."""

from __future__ import annotations

from pathlib import Path

import pytest

from juicecap.errors import RecipeError
from juicecap.recipe import examine

PROCESS = "export_path: out/x.jsonl\nprocess:\n  - text_length_filter: {min_len: 3}\n"


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of recipes in the working directory, with a dataset, ops and a shared part beside the recipe, and one above."""
    folder = tmp_path / "recipes"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    (folder / "clips.jsonl").write_text('{"text": "abc"}\n')
    (folder / "ops.py").write_text("")
    (tmp_path / "shared.yaml").write_text("seed: 1\n")
    return folder


def hint_of(recipes: Path, text: str) -> tuple[str, str]:
    """The message and the hint of the only problem."""
    (recipes / "recipe.yaml").write_text(text)
    try:
        problems = examine("recipes/recipe.yaml")[1].problems
    except RecipeError as error:
        problems = error.problems
    (problem,) = problems
    return problem.message, problem.hint


def test_a_dataset_beside_the_recipe_is_offered(recipes: Path) -> None:
    assert hint_of(recipes, f"dataset_path: clips.jsonl\n{PROCESS}") == (
        "dataset_path: clips.jsonl does not exist. Give a dataset file, a folder, or a Hub name such as org/name.",
        f"relative paths of a recipe start at the working directory ({recipes.parent}); from the recipe's folder it exists: "
        "did you mean 'recipes/clips.jsonl'?",
    )


def test_of_one_that_is_nowhere_it_is_said_where_paths_start(recipes: Path) -> None:
    _, hint = hint_of(recipes, f"dataset_path: data/none.jsonl\n{PROCESS}")
    assert hint == f"relative paths of a recipe start at the working directory ({recipes.parent})"
    _, hint = hint_of(recipes, f"dataset_path: /none/none.jsonl\n{PROCESS}")
    assert hint == ""


def test_ops_beside_the_recipe_are_offered(recipes: Path) -> None:
    message, hint = hint_of(recipes, f"dataset_path: recipes/clips.jsonl\ncustom_operator_paths: ops.py\n{PROCESS}")
    assert message == "custom_operator_paths: ops.py does not exist"
    assert hint.endswith("from the recipe's folder it exists: did you mean 'recipes/ops.py'?")


def test_what_is_included_starts_at_the_file_that_names_it(recipes: Path) -> None:
    message, hint = hint_of(recipes, f"include: shared.yaml\ndataset_path: recipes/clips.jsonl\n{PROCESS}")
    assert message == "include: recipes/shared.yaml: there is no such file"
    assert hint == (
        "paths of include start at the folder of the file that names them (recipes); from the working directory it exists: "
        "did you mean '../shared.yaml'?"
    )


def test_where_both_starts_are_one_folder_nothing_is_said(recipes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipes)
    (recipes / "recipe.yaml").write_text(f"dataset_path: data/none.jsonl\n{PROCESS}")
    (problem,) = examine("recipe.yaml")[1].problems
    assert problem.hint == ""
