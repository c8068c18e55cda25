"""`juicecap preview`: the recipe on a few samples; the real run is not touched, and its answers are there already."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scripted import Script

from juicecap.cli import main
from juicecap.recipe import load_recipe
from juicecap.report.page import preview_page
from juicecap.report.preview import preview_text
from juicecap.runner.estimate.compute import make_plan
from juicecap.runner.estimate.dataset_sample import spread
from juicecap.runner.estimate.preview import run_preview
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.model

ROOT = Path(__file__).parent.parent.parent
DEMO = "hf_model: juicecap-demo-vlm"


@pytest.fixture
def model(script: Script) -> Any:
    """The scripted engine; it is forgotten afterwards."""
    yield script
    core.close()


def write(*params: str, data: str = "clips/clips.jsonl", more: str = "") -> None:
    block = "".join(f"      {param}\n" for param in (*params, "keep_original_sample: false"))
    Path("recipe.yaml").write_text(
        f"dataset_path: {data}\nexport_path: out/captions.jsonl\nprocess:\n  - video_captioning_from_vlm_mapper:\n{block}{more}"
    )


def test_films_of_pictures_are_shown_as_the_model_sees_them(here: Path, model: Script) -> None:
    Path("clips/film").mkdir()
    for number in range(8):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(f"clips/film/{number}.png")
    listed = [f"film/{number}.png" for number in (3, 1)]
    parts = [{"type": "video", "video": "film", "nframes": 3}, {"type": "video", "video": listed}]
    Path("clips/own.jsonl").write_text(json.dumps({"messages": [{"role": "user", "content": parts}]}) + "\n")
    Path("recipe.yaml").write_text(
        "dataset_path: clips/own.jsonl\nexport_path: out/captions.jsonl\nprocess:\n  - video_to_caption_generator:\n"
        f"      hf_model: {model.model}\n      input_conversation_key: messages\n"
    )
    text = preview_text(run_preview(load_recipe("recipe.yaml"), 1))
    folder = Path.cwd() / "clips"
    assert f"saw     {folder}/film: 3 frames of 64x64 at 0.00 2.00 3.50 s" in text
    assert f"saw     {folder}/film/3.png and 1 more picture: 2 frames of 64x64 at 0.00 0.50 s" in text
    (film, few) = model.batches[0][0].pictures
    assert [frame[0, 0, 0] for frame in (*film.pixels, *few.pixels)] == [0, 4, 7, 3, 1]


def test_a_part_of_a_film_is_shown_alone(here: Path, model: Script) -> None:
    Path("clips/own.jsonl").write_text('{"videos": ["clip_00.mp4#t=npt:0:00.5,1"]}\n')
    write(f"hf_model: {model.model}", "num_frames: 3", data="clips/own.jsonl")
    preview = run_preview(load_recipe("recipe.yaml"), 1)
    folder = Path.cwd() / "clips"
    (seen,) = [line for line in preview_text(preview).splitlines() if "saw" in line]
    assert seen == f"    saw     {folder}/clip_00.mp4#t=0.5,1: 3 frames of 320x180 at 0.00 0.23 0.43 s"
    ((result,),) = preview.results.values()
    assert result["caption_provenance"][0]["source"] == "own.jsonl:1#t=0.5,1"
    assert model.batches[0][0].pictures[0].duration == 0.5
    assert '    videos: ["clip_00.mp4#t=npt:0:00.5,1"]' in preview_text(preview), "values are no Python"


def test_the_demo_model_sees_three_clips(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(DEMO, "sampling_params: {max_tokens: 64}")
    assert main(["preview", "recipe.yaml"]) == 0
    printed = capsys.readouterr().out
    truth = json.loads((ROOT / "tests" / "demo_clips.json").read_text())
    numbers = spread(10, 3)
    assert re.findall(r"^== (.*)$", printed, re.MULTILINE) == [f"clips.jsonl:{number + 1}" for number in numbers]
    said = re.findall(r"^    said -> 1\. (.*)  \(stop, \d+ tokens, seed \d+\)$", printed, re.MULTILINE)
    assert said == [truth[f"clip_0{number}.mp4"]["caption"] for number in numbers]
    assert printed.count("<|vision_start|><|video_pad|><|vision_end|>") == 3
    saw = re.findall(r"^    saw     (.*): (\d+) frames of (\d+)x(\d+) at ((?:\d+\.\d\d ?)+) s$", printed, re.MULTILINE)
    assert [Path(path).name for path, *_ in saw] == [f"clip_0{number}.mp4" for number in numbers]
    assert [len(times.split()) for *_, times in saw] == [int(count) for _, count, *_ in saw]
    page = Path("out/captions.run/preview/preview.html")
    assert f"page    {page}" in printed
    html = page.read_text()
    assert html.count('<img alt="Frame ') == sum(int(count) for _, count, *_ in saw)
    assert all(truth[f"clip_0{number}.mp4"]["caption"] in html for number in numbers)


def test_nothing_of_it_disturbs_the_run_and_its_answers_are_reused(
    here: Path, model: Script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("juicecap.file_state.TICK", 0)  # the clips were copied a moment ago
    write(f"hf_model: {model.model}", "caption_num: 2", "keep_candidate_mode: all")
    assert main(["preview", "recipe.yaml", "-n", "4"]) == 0
    assert sum(map(len, model.batches)) == 4
    assert sorted(path.name for path in Path("out").iterdir()) == ["captions.run"]
    left = sorted(path.name for path in Path("out/captions.run").iterdir() if not path.name.startswith("journal.sqlite"))
    assert left == [".juicecap", "preview"]
    (step,) = make_plan(load_recipe("recipe.yaml")).steps
    assert step.known == [2 if number in spread(10, 4) else 0 for number in range(10)]
    assert main(["preview", "recipe.yaml", "-n", "4"]) == 0
    assert sum(map(len, model.batches)) == 4, "a second preview asks nothing"
    assert main(["run", "recipe.yaml"]) == 0
    assert sum(map(len, model.batches)) == 10, "the run asks about the other six clips"
    assert len(Path("out/captions.jsonl").read_text().splitlines()) == 20
    assert main(["plan", "recipe.yaml"]) == 0
    assert re.search(r"^answers +20: 20 replayed$", capsys.readouterr().out, re.MULTILINE)


def test_which_candidate_was_chosen_is_told(here: Path, model: Script) -> None:
    model.answers["Say."] = ("the same", "the same", "another")
    write(f"hf_model: {model.model}", "caption_num: 3", "prompt: Say.")
    preview = run_preview(load_recipe("recipe.yaml"), 1)
    ((seen,),) = preview.samples.values()
    (question,) = seen.questions
    origin = preview.results[next(iter(preview.results))][0]["caption_provenance"][0]
    chosen = [answer.seed for answer in question.outcome.answers if seen.chosen(answer)]
    assert chosen == [origin["seed"]]
    text = preview_text(preview)
    assert text.count("said -> ") == 1
    assert text.count("said    ") == 2


def test_what_is_rejected_is_told_with_its_reason(here: Path, model: Script) -> None:
    Path("clips/broken.mp4").write_bytes(b"no video at all")
    Path("clips/own.jsonl").write_text('{"videos": ["broken.mp4"]}\n{"videos": ["clip_00.mp4"]}\n')
    write(f"hf_model: {model.model}", data="clips/own.jsonl", more="  - text_length_filter:\n      min_len: 1000\n")
    text = preview_text(run_preview(load_recipe("recipe.yaml"), 2))
    assert "[1] video_captioning_from_vlm_mapper: rejected, UNREADABLE: " in text
    assert "    failed  UNREADABLE: " in text
    assert "[2] text_length_filter: dropped" in text
    assert "out 1" not in text


def test_the_page_escapes_everything(here: Path, model: Script) -> None:
    nasty = "<script>alert(1)</script>"
    model.answers[nasty] = (f"a {nasty} \x1b[31m caption",)
    record = {"videos": ["clip_00.mp4"], nasty: nasty, "ask": nasty}
    Path("clips/own.jsonl").write_text(json.dumps(record) + "\n")
    write(f"hf_model: {model.model}", "prompt_key: ask", data="clips/own.jsonl")
    preview = run_preview(load_recipe("recipe.yaml"), 1)
    page = preview_page(preview)
    assert page.count("<script") == 1, "the page's own"
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
    assert "\x1b" not in page
    assert "\x1b" not in preview_text(preview)


def test_a_run_folder_that_cannot_be_made_is_a_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(DEMO)
    Path("out").write_text("a file")
    assert main(["preview", "recipe.yaml"]) == 1
    assert "export_path: out is a file, not a folder" in capsys.readouterr().err
    Path("out").unlink()
    Path("out/captions.run").mkdir(parents=True)
    Path("out/captions.run/preview").write_text("a file")
    assert main(["preview", "recipe.yaml"]) == 1
    assert "export_path: out/captions.run/preview is a file, not a folder" in capsys.readouterr().err


def test_an_engine_that_cannot_start_is_a_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("empty/config.json").write_text("{}")
    write("hf_model: ./empty")
    assert main(["preview", "recipe.yaml"]) == 1
    error = capsys.readouterr().err
    assert "./empty cannot be loaded as a vision-language model" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_the_number_is_a_positive_one(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["preview", "recipe.yaml", "-n", number])
    assert stopped.value.code == 2


def test_the_page_is_opened_where_that_is_asked(here: Path, model: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    write(f"hf_model: {model.model}")
    assert main(["preview", "recipe.yaml", "-n", "1", "--open"]) == 0
    assert opened == [f"file://{here}/out/captions.run/preview/preview.html"]


class TestWhichSamples:
    """`--samples` and `--limit`, with a filter that keeps everything."""

    @pytest.fixture(autouse=True)
    def recipe(self, here: Path) -> None:
        filters = "process:\n  - text_length_filter:\n      min_len: 0\n"
        Path("recipe.yaml").write_text(f"dataset_path: clips/clips.jsonl\nexport_path: out/captions.jsonl\n{filters}")

    def previewed(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[list[str], str]:
        """The ids of the samples that were previewed, and the last line before the page."""
        assert main(["preview", "recipe.yaml", *words]) == 0
        printed = capsys.readouterr().out
        return re.findall(r"^== (.*)$", printed, re.MULTILINE), printed.splitlines()[-2]

    def test_they_are_chosen_by_id_in_the_order_of_the_ids(self, capsys: pytest.CaptureFixture[str]) -> None:
        words = ("--samples", "clips.jsonl:7", "clips.jsonl:2", "--samples", "clips.jsonl:7")
        assert self.previewed(capsys, *words)[0] == ["clips.jsonl:7", "clips.jsonl:2"]

    def test_a_limit_is_that_of_a_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        names, counted = self.previewed(capsys, "--limit", "2")
        assert names == ["clips.jsonl:1", "clips.jsonl:2"]
        assert counted.startswith("2 of 2 samples; ")
        assert self.previewed(capsys, "--limit", "4", "--samples", "clips.jsonl:4")[0] == ["clips.jsonl:4"]

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("--samples", "clips.json:3"), "10 samples is called 'clips.json:3'; did you mean 'clips.jsonl:3' or 'clips.jsonl:"),
            (
                ("--limit", "2", "--samples", "clips.jsonl:4"),
                "none of the 2 samples is called 'clips.jsonl:4'; did you mean 'clips.",
            ),
            (("--samples", *map(str, range(1001))), "--samples takes at most 1,000 ids, not 1,001"),
        ],
    )
    def test_an_unknown_id_is_a_sentence_with_near_ones(
        self, words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["preview", "recipe.yaml", *words]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert len(error.splitlines()) == 1
        assert not Path("out/captions.run/preview/preview.html").exists()

    def test_a_number_and_ids_exclude_each_other(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(["preview", "recipe.yaml", "-n", "2", "--samples", "clips.jsonl:1"])
        assert stopped.value.code == 2
        assert "not allowed with argument -n/--number" in capsys.readouterr().err
