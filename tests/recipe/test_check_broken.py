"""Broken recipes and what `juicecap check` says of each, letter for letter: they stand in `broken_recipes.txt`.

A section is `=== name`, the recipe, `---`, and the report. After a change that is meant, run this file as a program: it writes
the reports anew. Read what it changed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

import pytest

from juicecap.cli import main

TABLE = Path(__file__).parent / "broken_recipes.txt"
MODEL = {
    "model_type": "qwen2_5_vl",
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "hidden_size": 96,
    "max_position_embeddings": 4096,
}


def sections() -> list[tuple[str, str, str]]:
    """(name, recipe, report)."""
    found = []
    for section in TABLE.read_text(encoding="utf-8").split("=== ")[1:]:
        name, _, rest = section.partition("\n")
        recipe, _, report = rest.partition("---\n") if rest.startswith("---\n") else rest.rpartition("\n---\n")
        found.append((name, f"{recipe}\n" if recipe else "", report))
    return found


def place(folder: Path) -> None:
    """What the recipes talk about."""

    def write(name: str, *rows: object) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    (folder / "videos").mkdir()
    (folder / "nothing").mkdir()
    for name in ("videos/a.mp4", "videos/b.mp4", "notes.txt", "notes.doc"):
        (folder / name).write_text("x", encoding="utf-8")
    video = {"videos": ["videos/a.mp4"]}
    write("clips.jsonl", {**video, "text": "a", "title": "A"}, {"videos": ["videos/b.mp4"], "text": "b", "caption": "B"})
    write("empty.jsonl")
    write("missing.jsonl", *({"videos": [f"no/{number}.mp4"], "text": "a"} for number in range(5)))
    write("other.jsonl", {"video": ["videos/a.mp4"], "text": "a"})
    write("tokens.jsonl", *[{**video, "text": "<__dj__video> <|__dj__eoc|>"}] * 2)
    write("many_tokens.jsonl", *[{**video, "text": "<__dj__video> <__dj__video> a <|__dj__eoc|>"}] * 2)
    write("old.run/rejected.jsonl", {"videos": ["../videos/a.mp4"], "text": "a"})
    (folder / "broken_op.py").write_text("import nothing_of_this_name\n", encoding="utf-8")
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text(json.dumps(MODEL), encoding="utf-8")
    processor = {"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 12845056}
    (folder / "model" / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")


def check(*arguments: str) -> int:
    """The exit code where all libraries are installed."""
    with mock.patch("juicecap.vlm.installed.find_spec"):
        return main(["check", *arguments])


def report_on(recipe: str, folder: Path) -> tuple[int, str]:
    """The exit code and all that is printed, in this folder."""
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = check("recipe.yaml")
    return code, printed.getvalue().replace(str(folder), "FOLDER")


@pytest.mark.parametrize(("name", "recipe", "report"), [pytest.param(*each, id=each[0]) for each in sections()])
def test_the_report_is_the_one_in_the_table(name: str, recipe: str, report: str, tmp_path: Path) -> None:
    place(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert report_on(recipe, tmp_path) == (1, report)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "recipe.yaml"])
    assert "Traceback" not in report


def test_there_are_many() -> None:
    assert len({recipe for _, recipe, _ in sections()}) >= 80


@pytest.mark.parametrize(("name", "recipe", "report"), [pytest.param(*each, id=each[0]) for each in sections()])
def test_json_says_the_same(
    name: str, recipe: str, report: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(recipe, encoding="utf-8")
    assert check("recipe.yaml", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"]
    heads = [line for line in report.splitlines() if not line.startswith("   ")]
    told = [
        ":".join(str(part) for part in (each["file"], each["line"], each["column"]) if part) + f": {each['message']}"
        if each["file"]
        else each["message"]
        for each in found["problems"]
    ]
    assert [line.replace(str(tmp_path), "FOLDER") for line in told] == heads


if __name__ == "__main__":
    table = ""
    for name, recipe, _ in sections():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(os.path.realpath(folder))
            place(root)
            code, report = report_on(recipe, root)
        if code != 1:
            sys.exit(f"{name}: exit code {code}\n{report}")
        table += f"=== {name}\n{recipe}---\n{report}"
    TABLE.write_text(table, encoding="utf-8")
