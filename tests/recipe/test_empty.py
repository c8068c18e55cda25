"""An empty text where a path, a column or a restriction is expected: a problem of its place, and never a meaning of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from juicecap import run
from juicecap.errors import JuicecapError, SettingsError
from juicecap.ops import VideoCaptioningFromVLMMapper, VideoDurationFilter, VideoToCaptionGenerator
from juicecap.recipe import Recipe, examine

Load = Callable[..., Recipe]
Complain = Callable[..., str]

PROCESS = "process:\n  - text_length_filter\n"

OPERATORS = "custom_operator_paths: "
TRAP = "from pathlib import Path\nPath('sprung').touch()\n"


@pytest.fixture
def trap(load: Load, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Python file in the working directory that leaves a file behind if it is run; gives the place of that file."""
    monkeypatch.setenv("EMPTY", "")
    Path("my_script.py").write_text(TRAP)
    return Path("sprung")


@pytest.mark.parametrize("written", ["''", "'  '", "null", "", "[]", "['']", "[' ', '']", "[null]", "${EMPTY}", "['${EMPTY}']"])
def test_no_operator_file_is_run_where_none_is_named(written: str, load: Load, trap: Path) -> None:
    recipe = load(PROCESS + f"{OPERATORS}{written}\n")
    assert recipe.custom_operator_paths == ()
    assert [step.name for step in recipe.steps] == ["text_length_filter"]
    assert not trap.exists()


def test_empty_texts_among_operator_files_are_passed_over(load: Load, trap: Path) -> None:
    recipe = load(PROCESS + f"{OPERATORS}['', my_script.py, '${{EMPTY}}']\n")
    assert recipe.custom_operator_paths == ("my_script.py",)
    assert trap.exists()


def test_the_working_directory_is_taken_where_it_is_named(load: Load, trap: Path) -> None:
    recipe = load(PROCESS + f"{OPERATORS}.\n")
    assert trap.exists()
    assert "custom_operator_paths: . is a folder; its Python files were run: my_script.py" in recipe.notices


def test_a_folder_of_operators_is_told_by_its_variable(load: Load, complain: Complain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPS", "mine")
    Path("mine").mkdir()
    told = "custom_operator_paths: ${OPS} is a folder; its Python files were run: none"
    assert told in load(f"{PROCESS}{OPERATORS}${{OPS}}\n").notices
    assert told in load(f"{PROCESS}{OPERATORS}[mine, '${{OPS}}']\n").notices
    assert "custom_operator_paths: ${OPS}/a.py does not exist" in complain(f"{PROCESS}{OPERATORS}['${{OPS}}/a.py']\n")


@pytest.mark.parametrize("written", ["''", '"  "', "${EMPTY}", "${EMPTY}  ", "${UNSET_HERE:-}"])
@pytest.mark.parametrize("key", ["export_path", "journal", "media_root", "suffixes", "work_dir"])
def test_an_empty_text_is_no_path_and_no_restriction(
    key: str, written: str, complain: Complain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    report = complain(f"{PROCESS}{key}: {written}\n")
    column = 3 + len(key)
    nothing = "; null means that it is not set" if key in ("journal", "media_root", "work_dir") else ""
    assert report.splitlines()[0] == f"recipe.yaml:3:{column}: {key} must not be empty{nothing}"


def test_no_suffix_of_a_list_is_empty(complain: Complain, load: Load) -> None:
    assert "recipe.yaml:3:11: suffixes must not be empty" in complain(f"{PROCESS}suffixes: [.mp4, '']\n")
    assert load(f"{PROCESS}suffixes: []\n").suffixes == ()


@pytest.mark.parametrize("key", ["dataset_path", "export_path", "journal", "media_root", "suffixes", "work_dir", "include"])
def test_null_and_nothing_mean_that_it_is_not_set(key: str, load: Load) -> None:
    assert load(f"{PROCESS}{key}: null\n").resolved.get(key) is None
    assert load(f"{PROCESS}{key}:\n").resolved.get(key) is None


@pytest.mark.parametrize(
    ("op", "parameter"),
    [
        ("video_duration_filter", "media_root"),
        ("video_duration_filter", "video_key"),
        ("text_length_filter", "text_key"),
        ("video_captioning_from_vlm_mapper", "media_root"),
        ("video_captioning_from_vlm_mapper", "prompt_key"),
        ("video_captioning_from_vlm_mapper", "caption_field"),
        ("video_captioning_from_vlm_mapper", "provenance_field"),
        ("video_to_caption_generator", "output_key"),
        ("video_to_caption_generator", "provenance_field"),
    ],
)
def test_an_ops_block_holds_none_either(op: str, parameter: str, complain: Complain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    report = complain(f"process:\n  - {op}:\n      {parameter}: ${{EMPTY}}\n")
    assert report.startswith(f"recipe.yaml:3:7: {op}[1]: {parameter} must not be empty")


@pytest.mark.parametrize("kind", [VideoCaptioningFromVLMMapper, VideoDurationFilter, VideoToCaptionGenerator])
def test_an_op_that_is_made_in_python_takes_no_empty_root(kind: type) -> None:
    with pytest.raises(SettingsError, match="media_root must not be empty; null means that it is not set"):
        kind(media_root="")
    assert kind(media_root=None).media_rules().root == ""


@pytest.mark.parametrize(
    "written", ["dataset_path: ''", "dataset_path: '  '", "dataset_path: ${EMPTY}", "dataset_path:", "seed: 1"]
)
def test_no_dataset_is_never_the_working_directory(
    written: str, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "a.mp4").touch()
    (tmp_path / "recipe.yaml").write_text(f"export_path: out/captions.jsonl\n{PROCESS}{written}\n")
    _, report = examine("recipe.yaml")
    assert [each.message.partition(":")[0] for each in report.problems] == ["dataset_path is missing"]
    with pytest.raises(JuicecapError, match=r"^the path of the dataset is empty\."):
        run("recipe.yaml")
    assert not (tmp_path / "out" / "captions.jsonl").exists()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("''", "recipe.yaml:1:10: include takes the path of a YAML file, or a list of paths, not ''"),
        ("'  '", "recipe.yaml:1:10: include takes the path of a YAML file, or a list of paths, not '  '"),
        ("${EMPTY}", "recipe.yaml:1:10: include: ${EMPTY} is empty; it takes the path of a YAML file, or a list of paths"),
        ("['${EMPTY} ']", "recipe.yaml:1:11: include: ${EMPTY}  is empty; it takes the path of a YAML file, or a list of paths"),
    ],
)
def test_nothing_is_included_by_an_empty_path(
    written: str, message: str, complain: Complain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    assert complain(f"include: {written}\n{PROCESS}").splitlines()[0] == message


def test_an_included_block_of_null_is_none(load: Load) -> None:
    assert load("include:\nprocess:\n  - text_length_filter: {include: null, min_len: 3}\n").steps[0].settings == {"min_len": 3}
