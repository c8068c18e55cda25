"""What a recipe of `juicecap init` leaves when it is run: a row for each medium, with its caption. The model is scripted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from scripted import Script, prompt_of, stands_in_for_all

from juicecap.cli import main
from juicecap.recipe.authoring.template import GOALS, TEMPLATES

SAMPLES = Path(__file__).parents[2] / "juicecap" / "assets" / "samples"


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script, closed: None) -> None:
    stands_in_for_all(monkeypatch)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.chdir(tmp_path)


def rows(*options: str) -> list[dict[str, Any]]:
    """The rows of a run of the recipe that `init` writes."""
    assert main(["init", "made", *options]) == 0
    assert main(["run", "made/recipe.yaml"]) == 0
    (file,) = Path("made/out").glob("captions.json*")
    text = file.read_text(encoding="utf-8")
    return json.loads(text) if file.suffix == ".json" else list(map(json.loads, text.splitlines()))


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_one_row_for_each_medium_with_its_caption(template: str, goal: str, script: Script) -> None:
    if (template, goal) == ("conversations", "lora"):
        return
    found = rows("--template", template, "--goal", goal)
    (asked,) = {prompt_of(prepared).strip() for batch in script.batches for prepared in batch}
    column = {"images": "image", "conversations": "video"}.get(template, "videos")
    names = ["image_00.png", "image_01.png"] if template == "images" else ["clip_05.mp4", "clip_09.mp4"]
    assert [[Path(path).name for path in row[column]] for row in found] == [[name] for name in names]
    assert [Path(path).is_absolute() for row in found for path in row[column]] == [goal == "lora"] * 2
    for row in found:
        assert row["caption"].endswith("0")
        assert row["caption"].startswith(asked)
        if goal == "vqa" or template == "conversations":
            assert row["conversation"] == [{"from": "human", "value": asked}, {"from": "gpt", "value": row["caption"]}]
    kept = {"dataset": {"caption_provenance"} if template in ("demo", "hf", "vllm", "api") else set()}.get(goal, set())
    talk = {"conversation"} if goal == "vqa" or template == "conversations" else set()
    assert found[0].keys() == {column, "caption", *kept, *talk}
    texts = {path.name: path.read_text() for path in Path("made/out/train").glob("*.txt")}
    lora = zip(names, found, strict=True) if goal == "lora" else ()
    assert texts == {f"{Path(name).stem}.txt": " ".join(row["caption"].split()) for name, row in lora}


def test_captions_beside_clips_are_replaced() -> None:
    Path("clips").mkdir()
    for name in ("clip_05", "clip_09"):
        shutil.copy(SAMPLES / f"{name}.mp4", "clips")
        Path(f"clips/{name}.txt").write_text(f"old {name}")
    found = rows("--from", "clips", "--goal", "lora")
    assert [row["videos"] for row in found] == [
        [str(Path("clips/clip_05.mp4").absolute())],
        [str(Path("clips/clip_09.mp4").absolute())],
    ]
    assert [row["txt"].startswith("Describe the video in one or two plain sentences") for row in found] == [True, True]
    assert found[0].keys() == {"videos", "txt"}


def test_an_old_answer_is_replaced() -> None:
    shutil.copy(SAMPLES / "clip_05.mp4", ".")
    talk = [{"from": "human", "value": "<video>\nWhat moves?"}, {"from": "gpt", "value": "Nothing."}]
    Path("a.json").write_text(json.dumps([{"video": "clip_05.mp4", "conversations": talk}]))
    (row,) = rows("--from", "a.json", "--goal", "vqa")
    assert row["conversations"] == [talk[0], {"from": "gpt", "value": "What moves? 0"}]


def test_a_list_of_captions_stays_a_list() -> None:
    Path("data/videos").mkdir(parents=True)
    shutil.copy(SAMPLES / "clip_05.mp4", "data/videos/a.mp4")
    Path("data/videos2caption.json").write_text('[{"path": "a.mp4", "fps": 12, "cap": ["old", "older"]}]')
    (row,) = rows("--from", "data")
    assert (row["path"], row["fps"], row["videos"]) == ("a.mp4", 12, ["../../data/videos/a.mp4"])
    assert row["cap"] == ["Describe the input video in 1-2 sentences.\n 0"]
