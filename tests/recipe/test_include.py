"""`include`, merge keys and homes of anchors: whose value wins, and whose line a problem is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from juicecap.recipe import Recipe

Load = Callable[..., Recipe]
Complain = Callable[..., str]


@pytest.fixture
def files(load: Load) -> Callable[..., None]:
    """Write files beside the recipe."""

    def write(**texts: str) -> None:
        for name, text in texts.items():
            path = Path(name.replace("__", "/") + ".yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    return write


def test_own_keys_win_and_a_later_file_wins_over_an_earlier_one(load: Load, files: Callable[..., None]) -> None:
    files(a="seed: 1\nvideo_key: a\ntext_keys: a\nimage_key: a\n", b="seed: 2\nvideo_key: b\naudio_key: b\n")
    recipe = load("seed: 3\ninclude: [a.yaml, b.yaml]\ntext_keys: own\nprocess: []\n")
    assert (recipe.seed, recipe.video_key, recipe.text_key, recipe.image_key, recipe.audio_key) == (3, "b", "own", "a", "b")
    assert "include" not in recipe.resolved


def test_an_included_process_is_taken_whole_or_not_at_all(load: Load, files: Callable[..., None]) -> None:
    files(a="process:\n  - text_length_filter: {min_len: 5}\n  - whitespace_normalization_mapper\n")
    assert [step.name for step in load("include: a.yaml\n").steps] == ["text_length_filter", "whitespace_normalization_mapper"]
    assert [step.name for step in load("include: a.yaml\nprocess: [text_length_filter]\n").steps] == ["text_length_filter"]


def test_an_ops_block_includes_parameters(load: Load, files: Callable[..., None]) -> None:
    files(model="hf_model: m\nsampling_params: {top_k: 3}\nfps: 4\n")
    recipe = load(
        "process:\n  - video_captioning_from_vlm_mapper: {include: model.yaml, fps: 1, sampling_params: {min_p: 0.1}}\n"
    )
    settings = recipe.steps[0].op.settings()
    assert (settings["hf_model"], settings["fps"], settings["sampling_params"]) == ("m", 1, {"min_p": 0.1})


def test_paths_start_at_the_file_that_names_them(load: Load, files: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "deep")
    files(
        shared__a="include: ${WHERE}/b.yaml\nprocess:\n  - text_length_filter: {include: deep/len.yaml}\n",
        shared__deep__b="seed: 9\n",
        shared__deep__len="min_len: 4\n",
    )
    recipe = load("include: shared/a.yaml\n", "text_length_filter.max_len=6")
    assert recipe.seed == 9
    assert recipe.steps[0].settings == {"min_len": 4, "max_len": 6}


def test_anchors_may_live_under_keys_that_begin_with_x(load: Load) -> None:
    recipe = load(
        "x-model: &m\n  hf_model: m\n  fps: 1\nprocess:\n  - video_captioning_from_vlm_mapper:\n      <<: *m\n      fps: 2\n"
    )
    assert recipe.steps[0].settings == {"hf_model": "m", "fps": 2}
    assert list(recipe.resolved) == ["process"]


def test_a_problem_of_an_included_file_is_shown_there(complain: Complain, files: Callable[..., None]) -> None:
    files(a="# shared\nsed: 3\nvideo_key: 4\n", model="caption_num: 0\ncaption_nmu: 2\n")
    report = complain("zz: 1\ninclude: a.yaml\nprocess:\n  - video_captioning_from_vlm_mapper: {include: model.yaml}\n")
    assert report == (
        "recipe.yaml:1:1: a recipe has no key 'zz'\n"
        "    1 | zz: 1\n"
        "      | ^^\n"
        "a.yaml:2:1: a recipe has no key 'sed'\n"
        "    2 | sed: 3\n"
        "      | ^^^\n"
        "   did you mean 'seed'?\n"
        "a.yaml:3:12: video_key must be str, not 4\n"
        "    3 | video_key: 4\n"
        "      |            ^\n"
        "model.yaml:1:14: video_captioning_from_vlm_mapper[1]: caption_num must be int > 0, not 0\n"
        "    1 | caption_num: 0\n"
        "      |              ^\n"
        "model.yaml:2:1: video_captioning_from_vlm_mapper[1] has no parameter 'caption_nmu'\n"
        "    2 | caption_nmu: 2\n"
        "      | ^^^^^^^^^^^\n"
        "   did you mean 'caption_num'?  (juicecap ops video_captioning_from_vlm_mapper)"
    )


def test_what_an_own_key_replaces_has_no_problems(load: Load, files: Callable[..., None]) -> None:
    files(a="seed: many\nprocess:\n  - zzz\n")
    assert load("include: a.yaml\nseed: 3\nprocess: []\n").seed == 3


@pytest.mark.parametrize(
    ("include", "message"),
    [
        ("7", "recipe.yaml:1:10: include takes the path of a YAML file, or a list of paths, not 7"),
        ("[a.yaml, {b: c}]", "recipe.yaml:1:19: include takes the path of a YAML file, or a list of paths, not {'b': 'c'}"),
        ("shraed.yaml", "recipe.yaml:1:10: include: shraed.yaml: there is no such file"),
        (
            "list.yaml",
            "recipe.yaml:1:10: include: list.yaml holds no keys: it must be a mapping, as a recipe or an op's block is",
        ),
        (
            "empty.yaml",
            "recipe.yaml:1:10: include: empty.yaml holds no keys: it must be a mapping, as a recipe or an op's block is",
        ),
        (".", "recipe.yaml:1:10: include: .: is a folder, not a recipe"),
        ("recipe.yaml", "recipe.yaml:1:10: include: recipe.yaml includes itself"),
        ("loop.yaml", "loop.yaml:1:10: include: recipe.yaml includes itself through loop.yaml"),
        ("latin.yaml", "recipe.yaml:1:10: include: latin.yaml (line 2): the byte 0xe9 is not UTF-8"),
        ("broken.yaml", "broken.yaml:2:1: not valid YAML: the indentation of this line fits none above it"),
        ("twice.yaml", "twice.yaml:2:1: 'seed' is set twice; first in line 1"),
        ("${JUICECAP_TEST_X}", "recipe.yaml:1:10: include: the environment variable 'JUICECAP_TEST_X' is not set"),
    ],
)
def test_what_cannot_be_included_is_said(include: str, message: str, complain: Complain, files: Callable[..., None]) -> None:
    files(a="seed: 1\n", shared="seed: 1\n", list="- 1\n", empty="\n", loop="include: recipe.yaml\n", broken="seed: 1\n- 2\n")
    files(twice="seed: 1\nseed: 2\n")
    Path("latin.yaml").write_bytes("seed: 1\n# é\n".encode("latin-1"))
    report = complain(f"include: {include}\nprocess: []\n")
    assert report.splitlines()[0] == message
    if include == "shraed.yaml":
        assert report.splitlines()[-1] == "   did you mean 'shared.yaml'?"


def test_files_that_include_each_other_again_and_again_end_somewhere(complain: Complain, files: Callable[..., None]) -> None:
    files(**{f"f{number}": f"include: [f{number + 1}.yaml, f{number + 1}.yaml]\n" for number in range(20)}, f20="seed: 1\n")
    report = complain("include: f0.yaml\nprocess: []\n")
    assert "include: more than 100 files are included" in report
    assert len(report.splitlines()) < 1000


def test_include_is_no_option(complain: Complain) -> None:
    assert complain("process: []\n", "include=a.yaml") == (
        "--set include=a.yaml: include can stand in the recipe only\n   give what is to be included as KEY=VALUE"
    )


def test_the_recipes_of_the_docs_load(load: Load, files: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "MODEL", "CANDIDATES"):
        monkeypatch.delenv(name, raising=False)
    files(shared__project="seed: 5\n", shared__model="hf_model: m\n")
    page = Path(__file__).parent.parent.parent / "docs" / "recipes.md"
    variables, anchors, includes = map(load, re.findall(r"```yml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    assert variables.dataset_path == "recipes/clips/clips.jsonl"
    assert variables.steps[0].settings == {
        "hf_model": "juicecap-demo-vlm",
        "caption_num": 2,
        "prompt": "What does a person with ${5} see?",
        "keep_original_sample": False,
    }
    assert anchors.steps[0].settings["sampling_params"] == {"max_tokens": 64}
    assert (includes.seed, includes.steps[0].settings) == (
        5,
        {"hf_model": "m", "caption_field": "caption", "caption_as": "text", "fps": 1},
    )
