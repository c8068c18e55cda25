"""Texts beside media become columns: what is read, what is not, and that a text that was edited is noticed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from juicecap import load_dataset
from juicecap.data.source import open_source
from juicecap.errors import DataError
from juicecap.sample import BROKEN, ORIGIN, media_paths, visible


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    for name, text in {
        "a.mp4": "\ufeffA cat. \n",
        "b c.v1.mp4": "“quotes”, <video>\nand a second line,\u2028 too\r\n",
        "deep/a.mp4": "",
        "UPPER.MP4": "NA",
        "z.mov": None,
    }.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        if text is not None:
            file.with_suffix(".txt").write_bytes(text.encode())
    return folder


def texts(folder: Path, column: str, **options: Any) -> dict[str, Any]:
    dataset = open_source(str(folder), cache_folder=folder.parent, **options)
    return {row["videos"][0]: row[column] for row in dataset}


def test_each_medium_has_its_own_text(clips: Path) -> None:
    assert texts(clips, "txt", sidecar_suffix=".txt") == {
        "UPPER.MP4": "NA",
        "a.mp4": "A cat.",
        "b c.v1.mp4": "“quotes”, <video>\nand a second line,\u2028 too",
        "deep/a.mp4": "",
        "z.mov": None,
    }


def test_a_medium_without_a_text_lacks_the_column(clips: Path) -> None:
    rows = list(load_dataset(str(clips), cache_folder=clips.parent, sidecar_suffix="txt"))
    assert visible(rows[-1]) == {"videos": ["z.mov"]}
    assert rows[-1][ORIGIN]["missing"] == ["txt"]
    assert media_paths(rows[-1], "videos") == [str(clips / "z.mov")]


def test_nothing_is_read_unless_it_is_asked_for(clips: Path, said: list[str]) -> None:
    assert open_source(str(clips), cache_folder=clips.parent).column_names == ["videos", ORIGIN]
    assert said == [f"{clips}: 4 files are passed over: suffix .txt (4)"]


def test_texts_that_are_read_are_not_passed_over(clips: Path, said: list[str]) -> None:
    (clips / "notes.md").touch()
    texts(clips, "txt", sidecar_suffix=".txt")
    assert said == [f"{clips}: 1 file is passed over: suffix .md (1)"]


def test_several_suffixes_and_values(clips: Path) -> None:
    (clips / "a.json").write_text('{"caption": "A cat.", "score": 0.5}')
    (clips / "a.caption").write_text("Cat!")
    (row,) = open_source(str(clips / "a.mp4"), cache_folder=clips.parent, sidecar_suffix=[".json", "caption", ".json"])
    assert visible(row) == {"videos": ["a.mp4"], "json": {"caption": "A cat.", "score": 0.5}, "caption": "Cat!"}


def test_pictures_and_patterns_have_texts_too(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "a.txt").write_text("A dog.")
    (row,) = open_source(str(tmp_path), cache_folder=tmp_path / "cache", sidecar_suffix=".txt")
    assert visible(row) == {"images": ["a.png"], "txt": "A dog."}
    (row,) = open_source(f"{tmp_path}/*.png", cache_folder=tmp_path / "cache", sidecar_suffix=".txt")
    assert visible(row) == {"images": ["a.png"], "txt": "A dog."}


@pytest.mark.parametrize("path", ["{}", "{}/*.mp4"])
def test_a_text_that_was_edited_is_read_again(clips: Path, path: str) -> None:
    first = open_source(path.format(clips), cache_folder=clips.parent, sidecar_suffix=".txt")
    (clips / "a.txt").write_text("A dog.")
    second = open_source(path.format(clips), cache_folder=clips.parent, sidecar_suffix=".txt")
    assert ("A cat." in first["txt"], "A dog." in second["txt"]) == (True, True)
    assert first._fingerprint != second._fingerprint
    (clips / "a.txt").unlink()
    third = open_source(path.format(clips), cache_folder=clips.parent, sidecar_suffix=".txt")
    assert "A dog." not in third["txt"]


def test_what_cannot_be_read_breaks_its_own_record_alone(clips: Path) -> None:
    (clips / "a.txt").write_bytes(b"caf\xe9")
    (clips / "deep/a.txt").unlink()
    os.mkfifo(clips / "deep/a.txt")
    rows = list(open_source(str(clips), cache_folder=clips.parent, sidecar_suffix=".txt", keep_broken=True))
    assert [(row[ORIGIN]["id"], row[BROKEN] and row[BROKEN]["reason"].partition(".")[0]) for row in rows] == [
        ("UPPER.MP4", None),
        ("a.mp4", "a"),
        ("b c.v1.mp4", None),
        ("deep/a.mp4", "a"),
        ("z.mov", None),
    ]
    assert rows[1][BROKEN]["reason"].startswith("a.txt: not valid UTF-8 (byte 0xe9")
    assert rows[3][BROKEN]["reason"] == "a.txt cannot be read: it is a named pipe, not a file. Mend or remove it."


def test_json_that_is_not_valid_is_broken(clips: Path) -> None:
    (clips / "a.json").write_text('{"caption": ')
    with pytest.raises(DataError, match=r"a\.mp4: a\.json: not valid JSON: "):
        open_source(str(clips / "a.mp4"), cache_folder=clips.parent, sidecar_suffix=".json")


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        (".mp4", "sidecar_suffix: '.mp4' is a suffix of media. Give that of the texts, such as .txt."),
        (".", "sidecar_suffix: '.' is no suffix of a file. Give one such as .txt, .caption or .json."),
        ("a/b", "sidecar_suffix: '.a/b' is no suffix of a file. Give one such as .txt, .caption or .json."),
        (".videos", "sidecar_suffix: '.videos' would be the column 'videos', which holds media. Name that one otherwise."),
    ],
)
def test_what_no_text_can_be_called(clips: Path, suffix: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        open_source(str(clips), cache_folder=clips.parent, sidecar_suffix=suffix)
    assert str(caught.value) == message
