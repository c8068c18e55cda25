"""Every video of a folder is a row, in order of names."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from juicecap.data.source import open_source
from juicecap.data.source.options import VIDEO_SUFFIXES
from juicecap.errors import DataError
from juicecap.sample import ORIGIN, media_paths


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    make(
        folder,
        "b.mp4",
        "a/2.MKV",
        "a/1.webm",
        "a/deep/x.mov",
        "notes.txt",
        ".hidden/y.mp4",
        "._b.mp4",
        "c.mp4/inside.avi",
        "é \U0001f3ac.mp4",
    )
    return folder


def test_videos_in_order_with_their_origin(clips: Path, tmp_path: Path) -> None:
    dataset = open_source(str(clips), cache_folder=tmp_path, video_key="clip")
    names = ["a/1.webm", "a/2.MKV", "a/deep/x.mov", "b.mp4", "c.mp4/inside.avi", "é \U0001f3ac.mp4"]
    assert dataset["clip"] == [[name] for name in names]
    assert dataset[ORIGIN] == [{"id": name, "folder": str(clips), "missing": []} for name in names]
    assert media_paths(dataset[2], "clip") == [str(clips / "a/deep/x.mov")]


def test_every_suffix_of_a_video(tmp_path: Path) -> None:
    names = [f"v{suffix}" for suffix in VIDEO_SUFFIXES]
    make(tmp_path / "all", *names)
    assert open_source(str(tmp_path / "all"), cache_folder=tmp_path)["videos"] == [[name] for name in names]


@pytest.mark.parametrize("suffixes", [[".txt", ".MOV"], ["txt", "mov"]])
def test_suffixes_say_what_a_video_is(clips: Path, tmp_path: Path, suffixes: list[str]) -> None:
    dataset = open_source(str(clips), cache_folder=tmp_path, suffixes=suffixes)
    assert dataset["videos"] == [["a/deep/x.mov"], ["notes.txt"]]


def test_one_video_file(clips: Path, tmp_path: Path) -> None:
    dataset = open_source(str(clips / "b.mp4"), cache_folder=tmp_path)
    assert dataset[:] == {"videos": [["b.mp4"]], ORIGIN: [{"id": "b.mp4", "folder": str(clips), "missing": []}]}


def test_the_listing_is_what_the_fingerprint_is_made_of(clips: Path, tmp_path: Path) -> None:
    first = open_source(str(clips), cache_folder=tmp_path)
    os.utime(clips / "b.mp4", ns=(1, 1))
    assert open_source(str(clips), cache_folder=tmp_path)._fingerprint == first._fingerprint
    make(clips, "a/deep/y.mp4")
    changed = open_source(str(clips), cache_folder=tmp_path)
    assert changed._fingerprint != first._fingerprint
    assert ["a/deep/y.mp4"] in list(changed["videos"])
    assert open_source(str(clips), cache_folder=tmp_path, video_key="v")._fingerprint != changed._fingerprint
    assert open_source(str(clips), cache_folder=tmp_path, limit=2)["videos"] == [["a/1.webm"], ["a/2.MKV"]]


def test_linked_files_and_folders_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    make(tmp_path / "other", "x.mp4")
    make(tmp_path / "clips", "a.mp4")
    (tmp_path / "clips" / "circle").symlink_to(tmp_path / "clips")
    (tmp_path / "clips" / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "clips" / "linked").symlink_to(tmp_path / "other")
    (tmp_path / "clips" / "z.mp4").symlink_to(tmp_path / "other" / "x.mp4")
    dataset = open_source(str(tmp_path / "clips"), cache_folder=tmp_path)
    assert dataset["videos"] == [["a.mp4"], ["linked/x.mp4"], ["z.mp4"]]


def test_a_folder_without_videos_says_so(tmp_path: Path) -> None:
    make(tmp_path / "texts", "a.md")
    with pytest.raises(DataError, match=r"texts has no videos \(\.264, \.265"):
        open_source(str(tmp_path / "texts"), cache_folder=tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="only there names are bytes")
def test_a_name_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    try:
        (folder / os.fsdecode(b"a\xff.mp4")).write_bytes(b"")
    except OSError:
        pytest.skip("the file system refuses such names")
    with pytest.raises(DataError, match=re.escape("'a\\udcff.mp4' has a path that is not valid UTF-8")):
        open_source(str(folder), cache_folder=tmp_path)


@pytest.mark.slow
def test_links_that_make_up_paths_without_end_are_an_error(tmp_path: Path) -> None:
    """Eight folders with links to each other have over a hundred thousand paths; ten have ten million."""
    for number in range(8):
        make(tmp_path / "clips" / str(number), "a.mp4")
        for other in range(8):
            (tmp_path / "clips" / str(number) / f"to{other}").symlink_to(tmp_path / "clips" / str(other))
    with pytest.raises(DataError, match=r"/to\d is met in more than 1,000 places below .*clips\. Remove links to folders"):
        open_source(str(tmp_path / "clips"), cache_folder=tmp_path)


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Folders that lie in each other, more of them than Python calls go."""
    handle = os.open(tmp_path, os.O_RDONLY)
    for name in ["clips", *["d"] * 1200]:
        os.mkdir(name, dir_fd=handle)
        inner = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(os.open("a.mp4", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)
    yield tmp_path / "clips"
    subprocess.run(["rm", "-rf", tmp_path / "clips"], check=True)  # pytest's own way goes no deeper


@pytest.mark.slow
def test_folders_lie_in_each_other_as_deep_as_paths_go(deep: Path, tmp_path: Path) -> None:
    assert open_source(str(deep), cache_folder=tmp_path)["videos"] == [["d/" * 1200 + "a.mp4"]]


def test_a_link_to_itself_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path / "clips", "a.mp4")
    (tmp_path / "clips" / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "clips" / "loop").symlink_to("loop")
    assert open_source(str(tmp_path / "clips"), cache_folder=tmp_path)["videos"] == [["a.mp4"]]
