"""`juicecap init`: every template passes `check`, a recipe that is written for a dataset fits it, and nothing is overwritten."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from juicecap.cli import main
from juicecap.data.export import write_export
from juicecap.data.source import open_source
from juicecap.recipe import Recipe, load_recipe
from juicecap.recipe.authoring.template import ASSETS, GOALS, MODELS, SAMPLES, TEMPLATES
from juicecap.vlm import installed

NO_PAIR = ("conversations", "lora")
SAMPLE_FILES = Path(__file__).parent.parent.parent / "juicecap" / "assets" / "samples"


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a folder of two clips and two pictures in `media`."""
    monkeypatch.chdir(tmp_path)
    have(monkeypatch, "torch", "torchvision", "transformers", "accelerate", "vllm", "openai")
    (tmp_path / "media").mkdir()
    for path in SAMPLE_FILES.iterdir():
        if path.suffix in (".mp4", ".png"):
            shutil.copy(path, tmp_path / "media" / path.name)
    return tmp_path


def have(monkeypatch: pytest.MonkeyPatch, *libraries: str) -> None:
    """These libraries are installed, and no other one."""
    monkeypatch.setattr(installed, "find_spec", lambda name: object() if name in libraries else None)


def fitting(dataset: str, *options: str) -> tuple[Recipe, str]:
    """The recipe that is written for a dataset, once `check` has nothing against it, and its text."""
    assert main(["init", "made", "--from", dataset, *options]) == 0
    assert main(["check", "made/recipe.yaml"]) == 0
    return load_recipe("made/recipe.yaml"), Path("made/recipe.yaml").read_text(encoding="utf-8")


def rows(path: str, *records: dict[str, Any]) -> str:
    Path(path).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("template", "goal"), [(template, goal) for template in TEMPLATES for goal in GOALS if (template, goal) != NO_PAIR]
)
def test_every_template_passes_check_and_is_commented(template: str, goal: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "new", "--template", template, "--goal", goal]) == 0
    assert capsys.readouterr().out == f"new/recipe.yaml written: {TEMPLATES[template]}\nnext: juicecap check new/recipe.yaml\n"
    assert main(["check", "new/recipe.yaml"]) == 0
    assert "new/recipe.yaml: no problems" in capsys.readouterr().out.splitlines()[-1]
    text = Path("new/recipe.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=juicecap.schema.json\n")
    assert "@" not in text
    assert text.count("#") > 12
    assert json.loads(Path("new/juicecap.schema.json").read_text())["title"] == "juicecap recipe"


def test_templates_are_files_and_samples_have_their_media() -> None:
    assert sorted(MODELS) == sorted(path.stem for path in (ASSETS / "templates" / "models").iterdir())
    assert set(MODELS) < set(TEMPLATES)
    assert set(SAMPLES) < set(TEMPLATES)


def test_backends_of_the_templates() -> None:
    backends = {}
    for template in TEMPLATES:
        assert main(["init", template, "--template", template]) == 0
        recipe = load_recipe(f"{template}/recipe.yaml")
        backends[template] = (recipe.steps[-1].name, recipe.steps[-1].op.backend, recipe.steps[-1].op.hf_model)
    qwen, demo = "Qwen/Qwen3-VL-8B-Instruct", "juicecap-demo-vlm"
    assert backends == {
        "demo": ("video_captioning_from_vlm_mapper", "hf", demo),
        "hf": ("video_captioning_from_vlm_mapper", "hf", qwen),
        "vllm": ("video_captioning_from_vlm_mapper", "vllm", qwen),
        "api": ("video_captioning_from_vlm_mapper", "openai", qwen),
        "images": ("image_caption_generator", "hf", demo),
        "conversations": ("video_to_caption_generator", "hf", demo),
    }


def test_without_a_folder_the_recipe_is_written_here_and_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "next: juicecap check recipe.yaml"
    assert main(["run", "recipe.yaml"]) == 0
    found = [json.loads(line) for line in Path("out/captions.jsonl").read_text().splitlines()]
    assert [(row["videos"], row["caption"]) for row in found] == [
        (["../clip_05.mp4"], "A green triangle moves left over a brown background."),
        (["../clip_09.mp4"], found[1]["caption"]),
    ]


def test_nothing_is_overwritten_and_nothing_is_written_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("new").mkdir()
    Path("new/clips.jsonl").write_text("mine", encoding="utf-8")
    assert main(["init", "new"]) == 2
    assert (
        capsys.readouterr().err == "new/clips.jsonl exists, and nothing is overwritten; give another folder: juicecap init DIR\n"
    )
    assert [(path.name, path.read_text()) for path in Path("new").iterdir()] == [("clips.jsonl", "mine")]


def test_a_folder_that_cannot_be_made_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("", encoding="utf-8")
    assert main(["init", "file/new"]) == 1
    assert capsys.readouterr().err == "file/new: the recipe cannot be written: Not a directory\n"


def test_an_unknown_template_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["init", "--template", "clips"])
    assert stopped.value.code == 2
    assert "invalid choice: 'clips'" in capsys.readouterr().err


def test_a_folder_of_videos() -> None:
    Path("clips").mkdir()
    shutil.copy("media/clip_05.mp4", "clips/a: #b.mp4")
    recipe, text = fitting("clips")
    assert (recipe.dataset_path, str(recipe.export_path)) == ("clips", "made/out/captions.jsonl")
    assert recipe.steps[-1].op.backend == "vllm"
    assert "1 media looked at" in text


def test_a_folder_of_images() -> None:
    Path("pictures").mkdir()
    shutil.copy("media/image_00.png", "pictures")
    recipe, _ = fitting("pictures")
    assert recipe.steps[0].name == "image_caption_generator"
    assert recipe.steps[0].op.input_modal_key == recipe.image_key
    assert recipe.steps[0].op.hf_model == "Qwen/Qwen3-VL-8B-Instruct"


def test_columns_of_a_table_are_found() -> None:
    Path("t.csv").write_text("id,note,clip path,caption\n1,x,media/clip_05.mp4,a green thing\n2,y,media/clip_09.mp4,a cat\n")
    recipe, text = fitting("t.csv")
    assert (recipe.video_key, recipe.text_key) == ("clip path", "caption")
    assert (recipe.steps[-1].op.caption_field, recipe.steps[-1].op.caption_as) == ("caption_2", "text")
    assert "a column of its own; caption stays as it is" in text
    assert str(recipe.export_path) == "made/out/captions.csv"
    assert "2 rows looked at; columns: id, note, clip path, caption\n" in text


def test_usual_names_are_not_repeated_and_taken_ones_are_avoided() -> None:
    dataset = rows("a.jsonl", {"videos": ["media/clip_05.mp4"], "text": "a thing", "caption": ["old"]})
    recipe, text = fitting(dataset)
    assert "video_key" not in text
    assert "text_keys" not in text
    assert recipe.steps[-1].op.caption_field == "caption_2"


def test_rows_with_several_videos_get_lists() -> None:
    recipe, _ = fitting(
        rows("a.jsonl", {"videos": ["media/clip_05.mp4"]}, {"videos": ["media/clip_05.mp4", "media/clip_09.mp4"]})
    )
    assert (recipe.steps[-1].op.caption_field, recipe.steps[-1].op.caption_as) == ("caption", "list")


def test_a_dataset_without_text_gets_a_caption_for_each_row() -> None:
    recipe, _ = fitting(rows("a.jsonl", {"clip": "media/clip_05.mp4", "id": 7}, {"clip": None, "id": 8}))
    assert recipe.video_key == "clip"
    assert (recipe.steps[-1].op.caption_field, recipe.steps[-1].op.caption_as) == ("caption", "text")


def test_a_text_of_another_name_is_found_by_its_words() -> None:
    words = {"url": "https://example.org/a.mp4", "sound": "birds and a river far away", "tag": "one"}
    recipe, _ = fitting(rows("a.jsonl", {"clip": "media/clip_05.mp4", **words}))
    assert (recipe.video_key, recipe.text_key) == ("clip", "sound")


def test_a_conversation_dataset() -> None:
    turns = [{"from": "human", "value": "What is it?"}]
    recipe, _ = fitting(rows("a.jsonl", {"clip": ["media/clip_05.mp4"], "chat": turns, "caption": "old"}))
    op = recipe.steps[0].op
    assert (op.name, op.input_video_key, op.input_conversation_key, op.output_key) == (
        "video_to_caption_generator",
        "clip",
        "chat",
        "caption_2",
    )


def test_images_of_a_parquet_file() -> None:
    source = open_source(rows("a.jsonl", {"picture": "media/image_00.png", "caption": "old"}), cache_folder=Path("cache"))
    write_export(source, Path("a.parquet"))
    recipe, _ = fitting("a.parquet")
    assert (recipe.steps[0].op.input_modal_key, recipe.steps[0].op.output_key) == ("picture", "caption_2")
    assert str(recipe.export_path) == "made/out/captions.parquet"


def test_questions_that_are_there_are_answered_for_vqa() -> None:
    turns = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "old"}]
    dataset = rows("a.jsonl", {"video": "media/clip_05.mp4", "messages": turns})
    for goal, mode in (("vqa", "fill_empty"), ("dataset", "overwrite")):
        shutil.rmtree("made", ignore_errors=True)
        recipe, _ = fitting(dataset, "--goal", goal)
        op = recipe.steps[0].op
        assert (op.input_conversation_key, op.conversation_mode, op.conversation_answer) == ("messages", mode, "replace")


def test_a_goal_is_served_whatever_the_dataset() -> None:
    talk = rows("a.jsonl", {"video": "media/clip_05.mp4", "conversations": [{"from": "human", "value": "What is it?"}]})
    recipe, _ = fitting(talk, "--goal", "lora")
    op = recipe.steps[-1].op
    assert (op.name, op.caption_as, op.provenance_field) == ("video_captioning_from_vlm_mapper", "text", None)
    assert op.prompt.startswith("Describe the video in one or two plain sentences")
    assert (recipe.video_key, recipe.export_paths) == ("video", "absolute")
    shutil.rmtree("made")
    recipe, _ = fitting("media/image_00.png", "--goal", "vqa")
    op = recipe.steps[0].op
    assert (op.name, op.input_image_key, op.input_conversation_key) == ("video_to_caption_generator", "images", "conversation")


@pytest.mark.parametrize("dataset", [(), ("--from", "media")])
def test_a_pair_that_makes_no_sense_is_wrong_usage(dataset: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "new", "--template", "conversations", "--goal", "lora", *dataset]) == 2
    assert capsys.readouterr().err == (
        "--goal lora makes one caption for each, to train a LoRA on, and the template 'conversations' answers questions; "
        "try --goal vqa, or another template, such as hf\n"
    )
    assert not Path("new").exists()


HF = ("torch", "torchvision", "transformers", "accelerate")


@pytest.mark.parametrize(
    ("libraries", "backend", "model_params"),
    [
        ((*HF, "vllm", "openai"), "vllm", {"max_model_len": 32768}),
        ((*HF, "openai"), "hf", None),
        (("torch", "openai"), "openai", None),
        ((), "hf", None),
    ],
)
@pytest.mark.parametrize("dataset", ["media/clip_05.mp4", "media/image_00.png"])
def test_the_backend_is_one_that_is_installed(
    dataset: str,
    libraries: tuple[str, ...],
    backend: str,
    model_params: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    have(monkeypatch, *libraries)
    if libraries:
        recipe, text = fitting(dataset)
    else:  # what is missing is told, and the check has it as its only problem
        assert main(["init", "made", "--from", dataset]) == 0
        assert main(["check", "made/recipe.yaml"]) == 1
        assert f"{', '.join(HF)} are not installed, which backend hf needs\n" in capsys.readouterr().err
        recipe, text = load_recipe("made/recipe.yaml"), Path("made/recipe.yaml").read_text(encoding="utf-8")
    op = recipe.steps[-1].op
    assert (op.backend, op.model_params) == (backend, model_params)
    assert op.hf_model == "Qwen/Qwen3-VL-8B-Instruct"
    assert "or hf" not in text


def test_what_is_missing_is_said_with_the_command_that_installs_it_from_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    have(monkeypatch, "transformers")
    root = SAMPLE_FILES.parents[2]
    assert main(["init", "away", "--template", "vllm"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == (
        f'vllm, torch, torchvision are not installed, which backend vllm needs: pip install -e "{root}[vllm]"'
    )
    target = Path("new").absolute()
    monkeypatch.chdir(root)
    assert main(["init", str(target), "--template", "api"]) == 0
    assert 'openai is not installed, which backend openai needs: pip install -e ".[openai]"\n' in capsys.readouterr().out
    assert '# Install what it needs with: pip install -e ".[openai]"\n' in (target / "recipe.yaml").read_text()
    monkeypatch.setattr(installed, "_is_checkout", lambda _: False)
    assert installed.install_command("hf") == 'pip install "juicecap[hf]"'


class TestImports:
    """Captions that come with media are captioned again, into their own column."""

    @staticmethod
    def made(dataset: str) -> tuple[Any, ...]:
        recipe, _ = fitting(dataset)
        op = recipe.steps[-1].op
        return recipe.dataset_path, recipe.sidecar_suffixes, recipe.text_key, op.caption_field, op.caption_as

    @pytest.fixture
    def clips(self) -> Path:
        Path("clips").mkdir()
        for name in ("clip_05", "clip_09"):
            shutil.copy(f"media/{name}.mp4", "clips")
        return Path("clips")

    @pytest.mark.parametrize(
        ("suffix", "text", "column"),
        [(".txt", "old", "txt"), (".caption", "old", "caption"), (".json", '{"n": 1, "caption": "old"}', "json.caption")],
    )
    def test_texts_beside_media(self, clips: Path, suffix: str, text: str, column: str) -> None:
        for name in ("clip_05", "clip_09"):
            (clips / f"{name}{suffix}").write_text(text)
        assert self.made("clips") == ("clips", (suffix,), column, column, "text")

    def test_texts_beside_few_media_are_none(self, clips: Path) -> None:
        (clips / "readme.txt").write_text("old")
        (clips / "clip_5.txt").write_text("old")
        assert self.made("clips") == ("clips", (), "text", "caption", "text")

    def test_lists(self, clips: Path) -> None:
        (clips / "videos.txt").write_text("clip_05.mp4\nclip_09.mp4\n")
        (clips / "prompts.txt").write_text("one\ntwo\n")
        assert self.made("clips") == ("clips", (), "caption", "caption", "text")

    @pytest.mark.parametrize("path", ["clips", "clips/captions.json"])
    def test_an_object_of_captions(self, clips: Path, path: str) -> None:
        (clips / "captions.json").write_text('{"clip_05.mp4": "one", "clip_09.mp4": "two"}')
        assert self.made(path) == ("clips/captions.json", (), "caption", "caption", "text")

    def test_lists_of_captions_are_no_text_to_compare_with(self, clips: Path) -> None:
        (clips / "captions.json").write_text('{"clip_05.mp4": ["one", "two"]}')
        assert self.made("clips") == ("clips/captions.json", (), "text", "caption", "list")

    def test_videos2caption(self, clips: Path) -> None:
        clips.rename("videos")
        clips.mkdir()
        Path("videos").rename("clips/videos")
        (clips / "videos2caption.json").write_text('[{"path": "clip_05.mp4", "cap": ["one"]}]')
        assert self.made("clips") == ("clips", (), "text", "cap", "list")

    @pytest.mark.parametrize("column", ["caption", "prompt", "text"])
    def test_metadata(self, clips: Path, column: str) -> None:
        table = Dataset.from_list([{"file_name": "clip_05.mp4", column: "one"}, {"file_name": "clip_09.mp4", column: "two"}])
        table.to_parquet(clips / "metadata.parquet")
        assert self.made("clips") == ("clips", (), column, column, "text")

    def test_pictures(self) -> None:
        Path("pictures").mkdir()
        shutil.copy("media/image_00.png", "pictures")
        Path("pictures/image_00.txt").write_text("old")
        recipe, _ = fitting("pictures")
        op = recipe.steps[0].op
        assert (recipe.sidecar_suffixes, op.output_key, op.overwrite_output) == ((".txt",), "txt", True)


def test_a_template_can_be_chosen_for_a_dataset() -> None:
    recipe, _ = fitting("media/clip_05.mp4", "--template", "api")
    assert recipe.steps[-1].op.backend == "openai"


def test_a_path_like_a_variable_stays_a_path() -> None:
    Path("${HOME}").mkdir()
    shutil.copy("media/clip_05.mp4", "${HOME}")
    recipe, text = fitting("${HOME}")
    assert recipe.dataset_path == "${HOME}"
    assert "dataset_path: $${HOME}" in text


@pytest.mark.parametrize(
    ("dataset", "options", "code", "message"),
    [
        ("no_such", [], 1, "no_such does not exist. Give"),
        ("some/where", [], 1, "some/where does not exist. Give a dataset file or a folder on this machine."),
        ("empty", [], 1, "empty has no "),
        ("words.jsonl", [], 1, "words.jsonl: no column holds paths of videos or images; it has a, b."),
        ("broken.jsonl", [], 1, "broken.jsonl:1: not valid JSON"),
        (
            "media/image_00.png",
            ["--template", "vllm"],
            2,
            "the template 'vllm' is for videos, with Qwen3-VL on vLLM, and media/image_00.png has images in the column 'images'; "
            "try 'images'",
        ),
    ],
)
def test_a_dataset_that_cannot_be_used_is_a_sentence(
    dataset: str, options: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    rows("words.jsonl", {"a": "one", "b": 2})
    Path("broken.jsonl").write_text("{", encoding="utf-8")
    assert main(["init", "made", "--from", dataset, *options]) == code
    assert message in capsys.readouterr().err
    assert not Path("made").exists()


@pytest.mark.parametrize("dataset", ["/proc", "/sys", "/proc/self", "linked"])
def test_folders_in_which_the_system_tells_of_itself(dataset: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("linked").symlink_to("/proc/self")
    assert main(["init", "made", "--from", dataset]) == 1
    assert capsys.readouterr().err == (
        f"{dataset} is a folder in which the system tells of itself. Give a dataset file, or a folder of media.\n"
    )
    assert not Path("made").exists()


def test_such_folders_are_not_entered_from_others() -> None:
    Path("clips").mkdir()
    shutil.copy("media/clip_05.mp4", "clips")
    Path("clips/system").symlink_to("/proc")
    Path("clips/loop").symlink_to("../clips")
    Path("clips/nowhere").symlink_to("gone")
    os.mkfifo("clips/pipe.mp4")
    Path("clips/folder.mp4").mkdir()
    recipe, text = fitting("clips")
    assert recipe.dataset_path == "clips"
    assert "1 media looked at" in text


def test_no_place_for_temporary_files_is_the_environments_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_: object, **__: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.mkdtemp", none)
    assert main(["init", "made", "--from", "media"]) == 4
    assert (
        "media cannot be looked at in the folder for temporary files (TMPDIR): No usable temporary directory"
        in capsys.readouterr().err
    )
