"""Characters that show nothing or break lines: texts keep them, joined files are read, names that they make wrong are told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

import juicecap
from juicecap.data.export import write_export
from juicecap.data.source import open_source
from juicecap.errors import DataError
from juicecap.recipe import check, load_recipe
from juicecap.recipe.problems import render
from juicecap.sample import visible

MARK = "\ufeff"
ODD = ["a\u2028b", "\u2029", "a\x85b", f"{MARK}a", f"a{MARK}", "a\u200bb", "a\0b", "\x1b[31m", "a\rb\nc\r\n", "\x0b\x0c\x1c\x1e"]
CLIP = Path(__file__).parents[2] / "recipes" / "clips" / "clip_01.mp4"


def rows_of(path: Path, cache: Path) -> list[dict[str, Any]]:
    return [visible(row) for row in open_source(str(path), cache_folder=cache)]


@pytest.mark.process
@pytest.mark.parametrize("format_", ["jsonl", "json", "csv", "parquet"])
def test_texts_come_back_as_they_were(tmp_path: Path, format_: str) -> None:
    rows = [{"text": text, "n": str(number)} for number, text in enumerate(ODD)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / f"out.{format_}"
    assert write_export(open_source(str(tmp_path / "rows.jsonl"), cache_folder=tmp_path), output) == len(rows)
    assert rows_of(output, tmp_path) == rows


def test_json_lines_have_no_other_ends(tmp_path: Path) -> None:
    name = f"{MARK}te\u2028xt"
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({name: text}) + "\n" for text in ODD))
    write_export(open_source(str(tmp_path / "rows.jsonl"), cache_folder=tmp_path), tmp_path / "out.jsonl")
    written = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)[name] for line in written.splitlines()] == ODD


def test_a_name_of_a_csv_that_begins_with_a_mark_keeps_it(tmp_path: Path) -> None:
    rows = [{f"{MARK}text": "x", "n": "1"}]
    (tmp_path / "rows.jsonl").write_text(json.dumps(rows[0]) + "\n")
    write_export(open_source(str(tmp_path / "rows.jsonl"), cache_folder=tmp_path), tmp_path / "out.csv")
    assert rows_of(tmp_path / "out.csv", tmp_path) == rows


@pytest.mark.parametrize(
    ("name", "text", "column", "values"),
    [
        ("a.jsonl", '{"text": "a"}\n\ufeff{"text": "b"}\n\ufeff\n', "text", ["a", "b"]),
        ("b.jsonl", '\ufeff\ufeff{"text": "\ufeffa"}\n', "text", ["\ufeffa"]),
        ("a.txt", "\ufeffa.mp4\n\ufeffb.mp4\r\n", "videos", [["a.mp4"], ["b.mp4"]]),
        ("c.jsonl", '\ufeff"a.mp4"\n\ufeff"b.mp4"\n', "videos", [["a.mp4"], ["b.mp4"]]),
        (
            "a.csv",
            '\ufefftext,n\r\na,1\r\n\ufefftext,n\r\nb,2\r\n"c\n\ufefftext,n\nd",3\r\n',
            "text",
            ["a", "b", "c\n\ufefftext,n\nd"],
        ),
        ("b.csv", "text,n\n\ufeffa,1\n", "text", ["\ufeffa"]),
        ("a.tsv", "text\tn\na\t1\n\ufefftext\tn\nb\t2", "text", ["a", "b"]),
    ],
)
def test_files_with_marks_that_were_joined(tmp_path: Path, name: str, text: str, column: str, values: list[Any]) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert [row[column] for row in rows_of(tmp_path / name, tmp_path)] == values


def test_rows_behind_a_second_header_have_their_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\na\n\ufefftext\nb\n")
    assert [row["__juicecap_origin__"]["id"] for row in open_source(str(tmp_path / "a.csv"), cache_folder=tmp_path)] == [
        "a.csv:2",
        "a.csv:4",
    ]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (
            "a.jsonl",
            '{"a": 1}\ufeff{"a": 2}\n',
            "a.jsonl:1: not valid JSON: Extra data at column 9 (an invisible character U+FEFF).",
        ),
        ("b.jsonl", '{"a":\u200b1}\n', "Expecting value at column 6 (an invisible character U+200B)"),
        ("a.csv", "a\0b,c\n1,2\n", r"the name 'a\x00b' holds a null character"),
        ("a.jsonl\u200b", "{}", "the suffix '.jsonl\\u200b' (it ends with an invisible character U+200B) is unknown"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        open_source(str(tmp_path / name), cache_folder=tmp_path)
    assert told in str(caught.value)


def test_a_suffix_with_something_invisible_is_passed_over_by_name(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a.mp4", "b.mp4\u200b"):
        (tmp_path / "data" / name).touch()
    assert rows_of(tmp_path / "data", tmp_path) == [{"videos": ["a.mp4"]}]
    assert said == [f"{tmp_path}/data: 1 file is passed over: suffix .mp4\\u200b (1)"]


class TestNames:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        shutil.copy(CLIP, tmp_path / "a.mp4")
        return tmp_path

    def recipe(self, folder: Path, rows: list[dict[str, Any]], dataset: str = "rows.jsonl", **settings: Any) -> Path:
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        keys = {
            "dataset_path": str(folder / dataset),
            "export_path": str(folder / "out/rows.jsonl"),
            "max_rejected": 1.0,
            "process": [{"video_resolution_filter": settings}],
        }
        (folder / "recipe.yaml").write_text(yaml.safe_dump(keys))
        return folder / "recipe.yaml"

    def problems(self, recipe: Path) -> str:
        loaded = load_recipe(recipe)
        return render(check(loaded).problems, loaded.source.text)

    def test_each_such_path_is_rejected_alone(self, folder: Path) -> None:
        odd = {
            "a\0.mp4": "cannot be a path: it holds a null character",
            "a.mp4\u200b": "does not exist: the name of the file ends with an invisible character U+200B",
            f"{MARK}a.mp4": "does not exist: the name of the file begins with an invisible character U+FEFF",
            "b\u2028/a.mp4": "does not exist: the name of a folder ends with an invisible character U+2028",
        }
        recipe = self.recipe(folder, [{"videos": [path]} for path in (*odd, "a.mp4")])
        warning = next(each.message for each in check(load_recipe(recipe)).warnings)
        assert warning.startswith("4 of 5 entries looked at in column 'videos' cannot be used; the first: ")
        for told in list(odd.values())[:3]:
            assert told in warning
        juicecap.run(recipe)
        rejected = [json.loads(line) for line in (folder / "out/rows.run/rejected.jsonl").read_text().splitlines()]
        assert [(each["code"], each["sample"]["videos"]) for each in rejected] == [("FILE_NOT_FOUND", [path]) for path in odd]
        for each, told in zip(rejected, odd.values(), strict=True):
            assert each["message"].endswith(told)
        assert json.loads((folder / "out/rows.jsonl").read_text()) == {"videos": ["../a.mp4"]}

    def test_a_column(self, folder: Path) -> None:
        told = self.problems(self.recipe(folder, [{f"{MARK}videos": ["a.mp4"]}]))
        assert "the data has no column 'videos', which video_key names; it has \\ufeffvideos" in told
        assert "did you mean '\\ufeffvideos' (it begins with an invisible character U+FEFF)?" in told
        told = self.problems(self.recipe(folder, [{"videos": ["a.mp4"]}], video_key="videos\u200b"))
        assert (
            "the data has no column 'videos\\u200b' (it ends with an invisible character U+200B), which video_key names" in told
        )

    def test_a_dataset(self, folder: Path) -> None:
        told = self.problems(self.recipe(folder, [{"videos": ["a.mp4"]}], "rows.jsonl\u200b"))
        assert "does not exist: the name of the file ends with an invisible character U+200B. Give a dataset file" in told
