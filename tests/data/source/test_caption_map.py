"""A JSON object of media and their captions, in the shapes of diffusion-pipe, ai-toolkit and sd-scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from juicecap.data.source import format_of, open_source
from juicecap.data.source.text import json_list
from juicecap.errors import DataError
from juicecap.sample import BROKEN, ORIGIN, media_paths, visible


def written(file: Path, value: Any) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return file


def rows(file: Path, **options: Any) -> list[dict[str, Any]]:
    return list(open_source(str(file), cache_folder=file.parent / "cache", **options))


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_captions_by_path(tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_list, "PIECE", piece)
    captions = {"a.mp4": 'A "cat", {NA}: 🐈', "deep/b c.MP4": "B", "d.mov#t=1,2": None}
    file = written(tmp_path / "captions.json", captions)
    assert format_of(str(file)) == "captions"
    found = rows(file)
    assert list(map(visible, found)) == [
        {"videos": ["a.mp4"], "caption": 'A "cat", {NA}: 🐈'},
        {"videos": ["deep/b c.MP4"], "caption": "B"},
        {"videos": ["d.mov#t=1,2"]},
    ]
    assert found[1][ORIGIN] == {"id": "captions.json:2", "folder": str(tmp_path), "missing": []}


def test_lists_of_captions(tmp_path: Path) -> None:
    file = written(tmp_path / "captions.json", {"a.mp4": ["A", "a"], "b.png": []})
    assert list(map(visible, rows(file))) == [{"videos": ["a.mp4"], "caption": ["A", "a"]}, {"caption": [], "images": ["b.png"]}]


def test_one_caption_or_several(tmp_path: Path) -> None:
    file = written(tmp_path / "captions.json", {"a.mp4": ["A", "a"], "b.mp4": "B"})
    assert [row["caption"] for row in rows(file)] == [["A", "a"], "B"]


def test_objects_give_columns(tmp_path: Path) -> None:
    file = written(tmp_path / "meta.json", {"/data/a.png": {"caption": "A", "tags": "x, y"}, "b.png": {"caption": "B"}})
    found = rows(file, image_key="image")
    assert list(map(visible, found)) == [
        {"image": ["/data/a.png"], "caption": "A", "tags": "x, y"},
        {"image": ["b.png"], "caption": "B"},
    ]
    assert media_paths(found[0], "image") == ["/data/a.png"]


class TestNamesWithoutSuffixes:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "x").mkdir()
        (tmp_path / "y").mkdir()
        for name in ("one.v2.png", "x/two.jpg", "x/three.png", "y/three.png"):
            (tmp_path / name).touch()
        return tmp_path

    def test_they_are_those_of_media_below_the_folder(self, folder: Path) -> None:
        captions = {"one.v2": {"caption": "1"}, "two": {"caption": "2"}, "y/three": {"caption": "3"}, f"{folder}/x/three": {}}
        found = rows(written(folder / "meta_cap.json", captions))
        assert [row["images"] for row in found] == [["one.v2.png"], ["x/two.jpg"], ["y/three.png"], ["x/three.png"]]

    def test_a_name_that_fits_none_or_several_is_broken_alone(self, folder: Path) -> None:
        found = rows(written(folder / "meta.json", {"two": "2", "four": "4", "three": "3"}), keep_broken=True)
        assert [row[BROKEN] and row[BROKEN]["reason"] for row in found] == [
            None,
            "names no medium below the folder of the file. Write its path, with the suffix.",
            "names several media, which differ in their suffix. Write the path of one.",
        ]
        assert found[1][BROKEN]["where"] == f"{folder}/meta.json (entry 2, 'four')"

    def test_media_that_come_later_are_found(self, folder: Path) -> None:
        file = written(folder / "meta.json", {"two": "2", "four": "4"})
        assert rows(file, keep_broken=True)[1][BROKEN]
        (folder / "four.png").touch()
        assert rows(file)[1]["images"] == ["four.png"]


def test_an_object_that_is_one_record_is_none(tmp_path: Path) -> None:
    file = written(tmp_path / "a.json", {"videos": ["a.mp4"], "text": "A"})
    (tmp_path / "a.mp4").touch()
    assert format_of(str(file)) == "json"
    with pytest.raises(DataError, match="holds an object, not a list of records"):
        rows(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a.mp4": "A" "b.mp4": "B"}', ":1: not valid JSON: behind 'a.mp4' a comma or the end of the object is missing"),
        ('{"a.mp4": "A",\n}', ": not valid JSON: Expecting value"),
        ('{"a.mp4": "A",\n"b.mp4" "B"}', ":2: not valid JSON: a name in quotes and a colon are missing"),
        ('{"a.mp4": "A"} x', ":1: not valid JSON: text stands behind the end of the object"),
        ('{"a.mp4": "A', " (entry 1, 'a.mp4'): not valid JSON: Unterminated string"),
        ('{"a.mp4": 7}', " (entry 1, 'a.mp4'): holds 7. Write a caption, a list of captions, or an object with texts."),
        ('{"a.mp4": ["A", 7]}', " (entry 1, 'a.mp4'): holds ['A', 7]. Write a caption"),
    ],
)
def test_what_is_broken(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path / "captions.json", text)
    with pytest.raises(DataError) as caught:
        rows(file)
    assert str(caught.value).startswith(f"{file}{message}")


def test_an_empty_object_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds an object, not a list of records"):
        rows(written(tmp_path / "captions.json", {}))
