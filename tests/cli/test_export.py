"""`juicecap export`: afterwards, of a run or a dataset, by the same code as in a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exporting import Exporting, lines, texts

from juicecap.cli import main
from juicecap.data.export.presets import PRESETS


@pytest.fixture
def exporting(tmp_path: Path, film: Callable[..., Any]) -> Exporting:
    clip = tmp_path / "clip.mp4"
    film(clip, "circle", "red", "black", "right", frames=4)
    return Exporting(tmp_path, clip, {"a.mp4": "One.", "sub/b.mp4": "Two."})


@pytest.fixture
def run(exporting: Exporting) -> str:
    """The folder of a run that has a step."""
    exporting.run({"to": "out/first.jsonl", "as": "table"}, process=[{"video_duration_filter": {"min_duration": 0.01}}])
    return str(exporting.folder / "out" / "first.run")


class TestRuns:
    def test_the_result_is_that_of_the_last_step(
        self, exporting: Exporting, run: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = exporting.folder / "out"
        (out / "first.jsonl").unlink()
        columns = "columns={path: {media: true}, text: caption}"
        assert main(["export", run, "--as", "table", "--to", str(out / "t.jsonl"), "--set", columns]) == 0
        assert capsys.readouterr().out == f"export    {out}/t.jsonl: 2 rows\n"
        assert lines(out / "t.jsonl") == [
            {"path": "../data/a.mp4", "text": "One."},
            {"path": "../data/sub/b.mp4", "text": "Two."},
        ]

    def test_it_gives_what_the_recipe_would_have_given(self, exporting: Exporting, run: str) -> None:
        out = exporting.folder / "out"
        for preset in ("musubi", "finetrainers", "llama_factory"):
            assert main(["export", run, "--for", preset, "--to", str(out / "after" / preset)]) == 0
        exporting.run(
            *({"to": f"out/in_run/{name}", "for": name} for name in ("musubi", "finetrainers", "llama_factory")),
            work_dir=str(out / "other.run"),
        )
        in_run, after = (
            {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
            for root in (out / "in_run", out / "after")
        )
        assert after == in_run
        assert len(after) == 1 + 4 + 2

    def test_it_may_be_repeated_and_keeps_edits(self, exporting: Exporting, run: str, capsys: pytest.CaptureFixture[str]) -> None:
        train = exporting.folder / "out" / "train"
        command = ["export", run, "--for", "finetrainers", "--to", str(train)]
        assert main(command) == 0
        (train / "a.txt").write_text("By hand.")
        assert main(command) == 0
        assert f"1 text stayed as somebody wrote it: {train}/a.txt" in capsys.readouterr().out
        assert texts(train) == {"a": "By hand.", "b": "Two."}
        assert main([*command, "--overwrite-texts"]) == 0
        assert texts(train) == {"a": "One.", "b": "Two."}
        (copy,) = Path(run, "replaced").rglob("a.txt")
        assert copy.read_text() == "By hand."
        assert not list(train.glob(".juicecap*"))

    def test_a_run_that_is_not_finished(self, exporting: Exporting, run: str, capsys: pytest.CaptureFixture[str]) -> None:
        manifest = Path(run, "manifest.json")
        facts = json.loads(manifest.read_text())
        command = ["export", run, "--for", "musubi", "--to", str(exporting.folder / "out" / "m")]
        manifest.write_text(json.dumps({**facts, "result": {**facts["result"], "table": "gone.arrow"}}))
        assert main(command) == 1
        assert "gone.arrow, the result of the run, is gone or damaged; run the recipe again" in capsys.readouterr().err
        manifest.write_text(json.dumps({name: value for name, value in facts.items() if name != "result"}))
        assert main(command) == 2
        assert "run of an earlier version" in capsys.readouterr().err
        manifest.unlink()
        assert main(command) == 2
        assert "the run is not finished; run its recipe again, which resumes" in capsys.readouterr().err

    def test_texts_go_beside_the_media_of_the_run(self, exporting: Exporting, run: str) -> None:
        assert main(["export", run, "--as", "sidecar", "--set", "media=none"]) == 0
        assert texts(exporting.folder / "data") == {"a": "One."}
        assert texts(exporting.folder / "data" / "sub") == {"b": "Two."}


class TestDatasets:
    def test_a_file_and_its_hidden_memory(self, exporting: Exporting, capsys: pytest.CaptureFixture[str]) -> None:
        train = exporting.folder / "out" / "train"
        command = ["export", str(exporting.dataset), "--as", "sidecar", "--to", str(train)]
        assert main(command) == 0
        assert {path.name for path in train.iterdir()} == {"a.mp4", "a.txt", "b.mp4", "b.txt", ".juicecap-sidecar.jsonl"}
        (train / "a.txt").write_text("By hand.")
        assert main([*command, "--json"]) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert told["stayed"] == {"count": 1, "first": [str(train / "a.txt")]}
        assert texts(train)["a"] == "By hand."

    def test_columns_are_known_by_what_is_in_them(self, exporting: Exporting) -> None:
        exporting.write([{"clip": "a.mp4", "description": "One of them all."}])
        out = exporting.folder / "out" / "t.jsonl"
        assert (
            main(
                [
                    "export",
                    str(exporting.dataset),
                    "--as",
                    "table",
                    "--to",
                    str(out),
                    "--set",
                    "columns={p: {media: true}, c: {caption: true}}",
                ]
            )
            == 0
        )
        assert lines(out) == [{"p": "../data/a.mp4", "c": "One of them all."}]

    def test_another_output_is_not_replaced(self, exporting: Exporting, capsys: pytest.CaptureFixture[str]) -> None:
        out = exporting.folder / "t.jsonl"
        out.write_text("precious\n")
        command = ["export", str(exporting.dataset), "--as", "table", "--to", str(out)]
        assert main(command) == 2
        assert f"{out} exists; give another path, or --overwrite to replace it" in capsys.readouterr().err
        assert out.read_text() == "precious\n"
        assert main([*command, "--overwrite"]) == 0
        assert len(lines(out)) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "juicecap export needs the folder of a run or a dataset; --list shows the trainers"),
        (["data.jsonl"], "juicecap export needs either --as (a writer) or --for (a trainer"),
        (["data.jsonl", "--as", "table", "--for", "musubi"], "juicecap export needs either --as"),
        (["data.jsonl", "--as", "table"], "an export as table needs to: where it goes"),
        (
            ["data.jsonl", "--as", "table", "--to", "x.jsonl", "--set", "colums={}"],
            "as: table has no option 'colums' (did you mean 'columns'?)",
        ),
        (["data.jsonl", "--as", "table", "--to", "x.jsonl", "--set", "columns"], "--set takes OPTION=VALUE"),
        (["data.jsonl", "--as", "table", "--to", "x.jsonl", "--set", "columns={a"], "--set columns={a: "),
    ],
)
def test_usage(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_a_dataset_that_is_not_there_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "no.jsonl"), "--as", "table", "--to", str(tmp_path / "t.csv")]) == 1
    assert "no.jsonl does not exist" in capsys.readouterr().err


def test_the_list_has_every_trainer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--list"]) == 0
    shown = capsys.readouterr().out
    for name, preset in PRESETS.items():
        assert f"\n{name:<15} as {preset.kind}" in f"\n{shown}"
        assert preset.wants in shown
