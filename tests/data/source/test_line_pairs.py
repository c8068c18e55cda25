"""`videos.txt` and `prompts.txt`: line by line they belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from juicecap.data.source import format_of, open_source
from juicecap.errors import DataError
from juicecap.sample import BROKEN, ORIGIN, media_paths, visible


def pair(folder: Path, media: str, captions: str, names: tuple[str, str] = ("videos.txt", "prompts.txt")) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in zip(names, (media, captions), strict=True):
        (folder / name).write_bytes(text.encode())
    return folder


def test_each_line_is_a_row(tmp_path: Path) -> None:
    data = pair(tmp_path / "data", "videos/a.mp4\nvideos/b c.mp4\n", "A “cat”,\u2028 “NA”.\r\n NA \n\n")
    assert format_of(str(data)) == "pairs"
    dataset = open_source(str(data), cache_folder=tmp_path)
    assert list(map(visible, dataset)) == [
        {"videos": ["videos/a.mp4"], "caption": "A “cat”,\u2028 “NA”."},
        {"videos": ["videos/b c.mp4"], "caption": "NA"},
    ]
    assert dataset[1][ORIGIN] == {"id": "videos.txt:2", "folder": str(data), "missing": []}


@pytest.mark.parametrize(
    ("names", "column"),
    [
        (("video.txt", "prompt.txt"), "videos"),
        (("videos.txt", "captions.txt"), "videos"),
        (("images.txt", "caption.txt"), "images"),
    ],
)
def test_other_names_of_the_lists(tmp_path: Path, names: tuple[str, str], column: str) -> None:
    medium = "a.png" if column == "images" else "a.mp4"
    data = pair(tmp_path / "data", medium, "A cat.", names)
    (row,) = open_source(str(data), cache_folder=tmp_path)
    assert visible(row) == {column: [medium], "caption": "A cat."}


def test_media_may_lie_in_videos_without_saying_so(tmp_path: Path) -> None:
    data = pair(tmp_path / "data", "a.mp4\nb.mp4#t=1,2", "A\nB")
    (data / "videos").mkdir()
    (data / "videos/a.mp4").touch()
    (data / "b.mp4").touch()
    dataset = open_source(str(data), cache_folder=tmp_path)
    assert [media_paths(row, "videos") for row in dataset] == [[f"{data}/videos/a.mp4"], [f"{data}/b.mp4#t=1,2"]]


def test_blank_lines(tmp_path: Path) -> None:
    data = pair(tmp_path / "data", "a.mp4\n\nb.mp4\n\n\n", "A\n\n \n")
    assert list(map(visible, open_source(str(data), cache_folder=tmp_path))) == [
        {"videos": ["a.mp4"], "caption": "A"},
        {"videos": ["b.mp4"]},
    ]
    pair(data, "a.mp4\n\n", "A\nB\n")
    first, second = open_source(str(data), cache_folder=tmp_path, keep_broken=True)
    assert (first["caption"], first[BROKEN]) == ("A", None)
    assert second[BROKEN]["reason"] == "is blank, and prompts.txt has a text there. Name the medium or remove both lines."


@pytest.mark.parametrize(("media", "captions", "longer", "shorter"), [("a\nb", "A", 0, 1), ("a", "A\nB", 1, 0)])
def test_lists_of_different_lengths_cannot_be_read(tmp_path: Path, media: str, captions: str, longer: int, shorter: int) -> None:
    data = pair(tmp_path / "data", media, captions)
    names = [data / "videos.txt", data / "prompts.txt"]
    with pytest.raises(DataError) as caught:
        open_source(str(data), cache_folder=tmp_path)
    assert str(caught.value) == (
        f"{names[longer]} has a line 2, and {names[shorter]} has not. Line by line they belong together: mend the lists."
    )


def test_an_edited_caption_is_read_again(tmp_path: Path) -> None:
    data = pair(tmp_path / "data", "a.mp4", "A")
    first = open_source(str(data), cache_folder=tmp_path)
    (data / "prompts.txt").write_text("B")
    second = open_source(str(data), cache_folder=tmp_path)
    assert (first["caption"], second["caption"]) == (["A"], ["B"])
    assert first._fingerprint != second._fingerprint


def test_one_list_alone_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "videos.txt").write_text("a.mp4")
    assert format_of(str(tmp_path)) == "folder"
