"""WebDataset shards: samples, columns, media that become files, and tars that mean harm."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from juicecap.data.source import open_source
from juicecap.errors import DataError
from juicecap.ops import VideoToCaptionGenerator
from juicecap.sample import ORIGIN, media_paths


def shard(path: Path, members: list[tuple[str, bytes]], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def plain(dataset) -> list[dict]:
    return [{key: value for key, value in row.items() if key != ORIGIN} for row in dataset]


def complaint(path: object, tmp_path: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_source(str(path), cache_folder=tmp_path / "cache")
    return str(caught.value)


def test_samples_of_a_shard(tmp_path):
    file = shard(
        tmp_path / "s-000.tar",
        [
            ("b/001.mp4", b"film 1"),
            ("b/001.txt", "schön".encode()),
            ("b/001.json", b'{"id": "007", "n": 9007199254740993}'),
            ("b/002.left.jpg", b"left"),
            ("b/002.right.jpg", b"right"),
            ("b/002.json", b'{"n": 1}'),
        ],
    )
    dataset = open_source(str(file), cache_folder=tmp_path / "cache")
    assert plain(dataset) == [
        {
            "__key__": "b/001",
            "videos": ["s-000.tar/b/001.mp4"],
            "txt": "schön",
            "json": {"id": "007", "n": 9007199254740993},
            "images": None,
        },
        {
            "__key__": "b/002",
            "videos": None,
            "txt": None,
            "json": {"n": 1},
            "images": ["s-000.tar/b/002.left.jpg", "s-000.tar/b/002.right.jpg"],
        },
    ]
    assert [row[ORIGIN]["id"] for row in dataset] == ["s-000.tar:b/001", "s-000.tar:b/002"]
    assert dataset[1][ORIGIN]["missing"] == ["videos", "txt"]
    assert [Path(each).read_bytes() for each in media_paths(dataset[1], "images")] == [b"left", b"right"]


def test_several_shards(tmp_path):
    for number in range(12):
        shard(tmp_path / "shards" / f"x-{number:03}.tar", [(f"{number}.mp4", b"%d" % number)])
    shard(tmp_path / "shards" / "y.tgz", [("y.mp4", b"y")], "w:gz")
    cache = tmp_path / "cache"

    def keys(path: str, **options: object) -> list[str]:
        return open_source(f"{tmp_path}/shards{path}", cache_folder=cache, **options)["__key__"][:]

    numbers = [str(number) for number in range(12)]
    assert keys("") == [*numbers, "y"]
    assert keys("/x-*.tar") == numbers
    assert keys("/x-{002..004}.tar") == ["2", "3", "4"]
    assert keys("/y.tgz") == ["y"]
    assert keys("", limit=3) == numbers[:3]
    assert complaint(f"{tmp_path}/shards/x-{{010..012}}.tar", tmp_path).startswith(f"{tmp_path}/shards/x-012.tar does not exist")
    assert complaint(f"{tmp_path}/shards/z-*.tar", tmp_path) == f"{tmp_path}/shards/z-*.tar matches no file."


def test_only_what_is_read_is_unpacked(tmp_path):
    file = shard(tmp_path / "s.tar", [(f"{number}.mp4", b"film") for number in range(5)])
    open_source(str(file), cache_folder=tmp_path / "cache", limit=2)
    assert sorted(path.name for path in (tmp_path / "cache").rglob("*.mp4")) == ["0.mp4", "1.mp4"]


def test_columns_have_the_recipes_names(tmp_path):
    file = shard(tmp_path / "s.tar", [("a.mp4", b"film"), ("a.png", b"picture"), ("a.wav", b"sound")])
    dataset = open_source(str(file), cache_folder=tmp_path / "cache", video_key="video", image_key="image", audio_key="audio")
    assert plain(dataset) == [{"__key__": "a", "video": ["s.tar/a.mp4"], "image": ["s.tar/a.png"], "audio": ["s.tar/a.wav"]}]


def test_a_damaged_file_is_written_again(tmp_path):
    file = shard(tmp_path / "s.tar", [("a.mp4", b"film")])
    open_source(str(file), cache_folder=tmp_path / "cache")
    (film,) = (tmp_path / "cache").rglob("*.mp4")
    film.write_bytes(b"fi")
    for arrow in (tmp_path / "cache").glob("*.arrow"):
        arrow.unlink()
    open_source(str(file), cache_folder=tmp_path / "cache")
    assert film.read_bytes() == b"film"


def test_members_of_other_kinds_are_left_out_and_that_is_said(tmp_path, said):
    file = shard(tmp_path / "s.tar", [("__meta__", b"x"), ("a.pyd", b"pickle"), ("a.txt", b"x"), ("._a.mp4", b"mac")])
    assert plain(open_source(str(file), cache_folder=tmp_path / "cache")) == [{"__key__": "a", "txt": "x"}]
    assert said == ["members of shards with the suffix 'pyd' are left out: they are neither media, nor text, nor JSON"]


@pytest.mark.parametrize("name", ["../evil.mp4", "/tmp/evil.mp4", "a/../../evil.mp4", "a\n.mp4"])
def test_no_member_is_written_elsewhere(tmp_path, name):
    file = shard(tmp_path / "in" / "s.tar", [(name, b"evil")])
    assert complaint(file, tmp_path) == (
        f"{file}: the member {name!r} would be unpacked elsewhere. Write the shard again with plain names."
    )
    assert not list(tmp_path.rglob("evil*"))


def test_links_are_left_out(tmp_path, said):
    secret = tmp_path / "secret"
    secret.write_text("x")
    file = tmp_path / "s.tar"
    with tarfile.open(file, "w") as tar:
        link = tarfile.TarInfo("a.mp4")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
        member = tarfile.TarInfo("b.txt")
        tar.addfile(member, io.BytesIO())
    assert plain(open_source(str(file), cache_folder=tmp_path / "cache")) == [{"__key__": "b", "txt": ""}]
    assert said == ["s.tar: members that are no files, such as 'a.mp4', are left out"]


def test_what_is_broken(tmp_path):
    good = shard(tmp_path / "good.tar", [("a.mp4", b"film" * 4000)])
    cut = tmp_path / "cut.tar"
    cut.write_bytes(good.read_bytes()[:9000])
    assert complaint(cut, tmp_path).startswith(f"{cut} cannot be read as a tar file: unexpected end of data")
    text = tmp_path / "text.tar"
    text.write_text("no tar")
    assert complaint(text, tmp_path).startswith(f"{text} cannot be read as a tar file: ")
    assert complaint(shard(tmp_path / "none.tar", []), tmp_path).endswith(
        "none.tar has no samples. Give shards with at least one."
    )
    mixed = shard(tmp_path / "mixed.tar", [("a.txt", b"x"), ("b.txt", b"y"), ("a.json", b"{}")])
    assert complaint(mixed, tmp_path) == f"{mixed}: the members of 'a' do not stand together. Write it again, sorted by name."
    bad = shard(tmp_path / "bad.tar", [("a.json", b"{"), ("b.txt", b"\xff")])
    assert "bad.tar:a: not valid JSON" in complaint(bad, tmp_path)


def test_a_broken_sample_costs_itself_alone(tmp_path):
    file = shard(tmp_path / "s.tar", [("a.json", b"{"), ("b.json", b'{"x": 1}'), ("c.txt", b"\xff")])
    dataset = open_source(str(file), cache_folder=tmp_path / "cache", keep_broken=True)
    assert dataset["__key__"][:] == [None, "b", None]


def test_shards_are_captioned(tmp_path, clips):
    members = [(f"{number:03}.mp4", Path(path).read_bytes()) for number, path in enumerate(clips.paths[:3])]
    file = shard(tmp_path / "s.tar", members)
    dataset = open_source(str(file), cache_folder=tmp_path / "cache", video_key="video")
    shutil.rmtree(tmp_path / "gone", ignore_errors=True)
    out = VideoToCaptionGenerator(hf_model="juicecap-demo-vlm").run(dataset)
    assert out["caption"][:] == clips.details[:3]
    assert out["video"][:] == [["s.tar/000.mp4"], ["s.tar/001.mp4"], ["s.tar/002.mp4"]]


def test_names_with_dots_whose_texts_stand_beside_them_are_samples_of_their_own(tmp_path):
    members = [(f"clip.v1.{number}.{suffix}", f"{number}".encode()) for number in (0, 1, 2) for suffix in ("mp4", "txt")]
    for mode, name in (("w", "s.tar"), ("w:gz", "s.tgz")):
        dataset = open_source(str(shard(tmp_path / name, members, mode)), cache_folder=tmp_path / "cache")
        assert plain(dataset) == [
            {"__key__": f"clip.v1.{number}", "videos": [f"{name}/clip.v1.{number}.mp4"], "txt": f"{number}"}
            for number in (0, 1, 2)
        ]
        assert [row[ORIGIN]["id"] for row in dataset] == [f"{name}:clip.v1.{number}" for number in (0, 1, 2)]
        assert [Path(media_paths(row, "videos")[0]).read_bytes() for row in dataset] == [b"0", b"1", b"2"]


def test_a_name_up_to_the_first_dot_that_comes_first_keeps_its_sample_whole(tmp_path):
    members = [("a.mp4", b"film"), ("a.txt", b"text"), ("a.left.png", b"left"), ("a.left.json", b"{}")]
    file = shard(tmp_path / "s.tar", members)
    assert plain(open_source(str(file), cache_folder=tmp_path / "cache")) == [
        {"__key__": "a", "videos": ["s.tar/a.mp4"], "txt": "text", "images": ["s.tar/a.left.png"]}
    ]
