"""What a recipe of `juicecap init` exports when it is run: captions leave in the shape in which they came. A script answers."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from scripted import Script, prompt_of, stands_in_for_all

from juicecap.cli import main
from juicecap.recipe import load_recipe
from juicecap.vlm.base import Outcome, Prepared

SAMPLES = Path(__file__).parents[2] / "juicecap" / "assets" / "samples"
CLIPS = ("clip_05", "clip_09")
NEW = {name: f"New: {name}." for name in ("clip_05", "clip_09", "image_00", "image_01")}


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script, closed: None) -> None:
    """A folder of two clips; the model says the name of the medium that it sees."""
    stands_in_for_all(monkeypatch)
    monkeypatch.chdir(tmp_path)
    Path("clips").mkdir()
    for name in CLIPS:
        shutil.copy(SAMPLES / f"{name}.mp4", "clips")
    scripted = script.answer

    def answer(prepared: Prepared) -> Outcome:
        parts = [part for message in prepared.request.messages for part in message.parts]
        (path,) = [part.value for part in parts if part.kind in ("image", "video")]
        script.answers[prompt_of(prepared)] = [NEW[Path(path).stem]]
        return scripted(prepared)

    monkeypatch.setattr(script, "answer", answer)


def exported(dataset: str, *options: str) -> dict[str, str]:
    """What a run of the recipe for a dataset exports: the texts by their names, and of each medium the one that it is.

    What is there already stays as it is.
    """
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert main(["init", "made", "--from", dataset, *options]) == 0
    assert main(["run", "made/recipe.yaml"]) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert [path for path in Path().rglob("*") if path.is_file() and path not in before and path.parts[0] != "made"] == []
    folder = Path("made/out/train")
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = str(path.resolve().relative_to(Path.cwd()))
        elif path.is_file() and path.suffix != ".parquet":
            found[str(path.relative_to(folder))] = path.read_text(encoding="utf-8")
    return found


def links() -> dict[str, str]:
    """The links to the clips."""
    return {f"{name}.mp4": f"clips/{name}.mp4" for name in CLIPS}


def texts(suffix: str) -> dict[str, str]:
    return {f"{name}{suffix}": NEW[name] for name in CLIPS}


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


class TestPairs:
    @pytest.mark.parametrize("goal", ["dataset", "lora"])
    @pytest.mark.parametrize(
        ("suffix", "old", "new"),
        [(".txt", "old", ".txt"), (".caption", "old", ".caption"), (".json", '{"n": 1, "caption": "old"}', ".txt")],
    )
    def test_texts_beside_media(self, suffix: str, old: str, new: str, goal: str) -> None:
        for name in CLIPS:
            Path(f"clips/{name}{suffix}").write_text(old)
        assert exported("clips", "--goal", goal) == {**links(), **texts(new)}

    def test_a_folder_for_a_lora(self) -> None:
        assert exported("clips", "--goal", "lora") == {**links(), **texts(".txt")}

    def test_a_table_for_a_lora(self) -> None:
        Path("a.jsonl").write_text(lines(*({"clip": f"clips/{name}.mp4", "caption": "old"} for name in CLIPS)))
        assert exported("a.jsonl", "--goal", "lora") == {**links(), **texts(".txt")}

    def test_pictures_of_a_column(self) -> None:
        shutil.copy(SAMPLES / "image_00.png", ".")
        Path("a.jsonl").write_text(lines({"picture": "image_00.png"}))
        assert exported("a.jsonl", "--goal", "lora") == {"image_00.png": "image_00.png", "image_00.txt": NEW["image_00"]}

    def test_names_like_variables(self) -> None:
        Path("clips").rename("${HOME}")
        assert main(["init", "${X}", "--from", "${HOME}", "--goal", "lora"]) == 0
        (export,) = load_recipe("${X}/recipe.yaml").exports
        assert export.to == "${X}/out/train"


class TestLists:
    def test_of_media_and_captions(self) -> None:
        Path("clips/videos.txt").write_text("clip_09.mp4\nclip_05.mp4\n")
        Path("clips/prompts.txt").write_text("old\nolder\n")
        found = exported("clips")
        assert found == {
            **links(),
            "videos.txt": "clip_09.mp4\nclip_05.mp4\n",
            "prompts.txt": f"{NEW['clip_09']}\n{NEW['clip_05']}\n",
        }

    def test_have_their_names(self) -> None:
        Path("clips/video.txt").write_text("clip_05.mp4\n")
        Path("clips/captions.txt").write_text("old\n")
        found = exported("clips", "--goal", "lora")
        assert (found["video.txt"], found["captions.txt"]) == ("clip_05.mp4\n", f"{NEW['clip_05']}\n")


class TestObjects:
    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("old", NEW["clip_05"]),
            (["old", "older"], [NEW["clip_05"]]),
            ({"caption": "old", "file": "a, b"}, {"caption": NEW["clip_05"], "file": "a, b"}),
        ],
    )
    @pytest.mark.parametrize("name", ["captions.json", "meta.json"])
    def test_of_captions(self, name: str, old: Any, new: Any) -> None:
        Path(f"clips/{name}").write_text(json.dumps({"clip_05.mp4": old}))
        found = exported(f"clips/{name}")
        assert json.loads(found.pop(name)) == {"clip_05.mp4": new}
        assert found == {"clip_05.mp4": "clips/clip_05.mp4"}

    def test_videos2caption(self) -> None:
        Path("data").mkdir()
        Path("clips").rename("data/videos")
        Path("data/videos2caption.json").write_text('[{"path": "clip_05.mp4", "cap": ["old", "older"]}]')
        found = exported("data")
        (row,) = json.loads(found.pop("videos2caption.json"))
        assert (row["path"], row["cap"]) == ("clip_05.mp4", [NEW["clip_05"]])
        assert row.keys() == {"path", "cap", "resolution", "fps", "num_frames", "duration"}
        assert found == {"videos/clip_05.mp4": "data/videos/clip_05.mp4"}


class TestMetadata:
    ROWS = ({"file_name": "clip_05.mp4", "id": 7, "text": "old"}, {"file_name": "clip_09.mp4", "id": 8, "text": "older"})
    AGAIN = ({**ROWS[0], "text": NEW["clip_05"]}, {**ROWS[1], "text": NEW["clip_09"]})

    def test_jsonl(self) -> None:
        Path("clips/metadata.jsonl").write_text(lines(*self.ROWS))
        assert exported("clips") == {**links(), "metadata.jsonl": lines(*self.AGAIN)}

    def test_csv(self) -> None:
        Path("clips/metadata.csv").write_text("video,text\nclip_05.mp4,old\nclip_09.mp4,older\n")
        found = exported("clips/metadata.csv", "--goal", "lora")
        assert list(csv.DictReader(found.pop("metadata.csv").splitlines())) == [
            {"video": f"{name}.mp4", "text": NEW[name]} for name in CLIPS
        ]
        assert found == links()

    def test_parquet(self) -> None:
        Dataset.from_list([*self.ROWS]).to_parquet("clips/metadata.parquet")
        assert exported("clips") == links()
        assert Dataset.from_parquet("made/out/train/metadata.parquet").to_list() == [*self.AGAIN]

    def test_pictures(self) -> None:
        Path("pictures").mkdir()
        shutil.copy(SAMPLES / "image_00.png", "pictures")
        Path("pictures/metadata.jsonl").write_text(lines({"file_name": "image_00.png", "text": "old"}))
        found = exported("pictures")
        assert found == {
            "image_00.png": "pictures/image_00.png",
            "metadata.jsonl": lines({"file_name": "image_00.png", "text": NEW["image_00"]}),
        }

    def test_lists_of_captions(self) -> None:
        Path("clips/metadata.jsonl").write_text(lines({"file_name": "clip_05.mp4", "captions": ["old", "older"]}))
        found = exported("clips")
        assert json.loads(found["metadata.jsonl"]) == {"file_name": "clip_05.mp4", "captions": [NEW["clip_05"]]}


def nothing() -> None:
    """Media alone, whose table is all that a dataset needs."""


def several() -> None:
    Path("a.jsonl").write_text(lines({"videos": ["clips/clip_05.mp4", "clips/clip_09.mp4"]}))


def of_both_kinds() -> None:
    shutil.copy(SAMPLES / "image_00.png", "clips")
    Path("a.jsonl").write_text(lines({"videos": ["clips/clip_05.mp4"], "images": ["clips/image_00.png"]}))


def without() -> None:
    Path("a.jsonl").write_text(lines({"videos": ["clips/clip_05.mp4"]}, {"videos": None}))


@pytest.mark.parametrize(
    ("prepare", "folder", "dataset", "goal", "trainer"),
    [
        (nothing, "made", "clips", "dataset", "finetrainers"),
        (nothing, "made", "clips", "vqa", "llama_factory"),
        (nothing, "clips/made", "clips", "lora", "finetrainers"),
        (several, "made", "a.jsonl", "lora", "finetrainers"),
        (of_both_kinds, "made", "a.jsonl", "lora", "finetrainers"),
        (without, "made", "a.jsonl", "lora", "finetrainers"),
    ],
)
def test_what_has_no_place_in_a_folder_of_pairs_is_a_table(
    prepare: Callable[[], None], folder: str, dataset: str, goal: str, trainer: str
) -> None:
    prepare()
    assert main(["init", folder, "--from", dataset, "--goal", goal]) == 0
    assert main(["check", f"{folder}/recipe.yaml"]) == 0
    assert load_recipe(f"{folder}/recipe.yaml").exports == ()
    comment = f"# exports: [{{to: DIR, for: {trainer}}}]  # files for a trainer; juicecap export --list shows all\n"
    assert comment in Path(f"{folder}/recipe.yaml").read_text()
