"""`juicecap check` as a command. What it finds stands in `tests/recipe/test_check_broken.py`."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from juicecap.cli import main
from juicecap.recipe import check, load_recipe

ROOT = Path(__file__).parent.parent.parent


def test_json_of_a_recipe_without_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.jsonl").write_text('{"text": "a", "videos": ["no.mp4"]}\n{"text": "b"}\n')
    Path("recipe.yaml").write_text(
        "dataset_path: data.jsonl\nexport_path: out.jsonl\nnp: 8\nprocess:\n  - video_duration_filter:\n  - text_length_filter:\n"
    )
    assert main(["check", "recipe.yaml", "--json", "--set", "max_rejected=1.0", "--set", "text_length_filter.min_len=1"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [each["message"] for each in found["problems"]] == [
        f"dataset_path: the one entry in column 'videos' cannot be used; data.jsonl:1: {tmp_path}/no.mp4 does not exist"
    ]
    Path("no.mp4").touch()
    assert main(["check", "recipe.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "recipe": "recipe.yaml",
        "ok": True,
        "problems": [],
        "warnings": [],
        "notices": ["'np' has no effect: decoding uses every core, and the other ops run in this process"],
        "ops": ["video_duration_filter", "text_length_filter"],
        "rows": 2,
        "all_rows": True,
    }


def test_json_of_what_is_no_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], [each["message"] for each in found["problems"]]) == (False, ["is a folder, not a recipe"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the recipe is empty"),
        (b"- 1\n", "the recipe is a list"),
        (b"a: " + b"x" * 10_000_000, "is larger than 1,000,000 bytes; that is no recipe"),
        (b"dataset_path: caf\xe9\n", "the byte 0xe9 is not UTF-8"),
        (b"a: &a [*a]\n", "this value contains itself through an alias"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "plan", "preview", "run"])
def test_no_verb_shows_a_traceback_for_what_is_no_recipe(
    content: bytes, said: str, verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_bytes(content)
    assert main([verb, str(tmp_path / "recipe.yaml")]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml"]


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_recipes_have_no_problems_and_are_checked_in_a_moment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    began = time.process_time()
    report = check(load_recipe(path))
    assert (report.problems, report.warnings) == ((), ())
    assert time.process_time() - began < 0.7
