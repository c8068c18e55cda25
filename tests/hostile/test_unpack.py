"""Media that lie inside of a dataset are written below one folder, whatever is named how."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import juicecap
from juicecap.data.source import open_source, unpack
from juicecap.data.source.options import SourceOptions
from juicecap.data.source.shards import webdataset
from juicecap.data.source.tables.embedded import media_as_files
from juicecap.data.source.unpack import MediaFolder
from juicecap.errors import DataError, EnvironmentFailure, RecipeError
from juicecap.sample import media_paths

pytestmark = pytest.mark.usefixtures("one_child")

EVIL = b"\x89PNG evil"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory deep enough for `../..`, beside things that nobody may touch."""
    (tmp_path / "canary").mkdir()
    (tmp_path / "canary" / "kept").write_text("kept")
    home = tmp_path / "a" / "b" / "home"
    home.mkdir(parents=True)
    monkeypatch.chdir(home)
    return home


def files(*roots: Path) -> list[str]:
    return sorted(str(Path(place, name)) for root in roots for place, _, names in os.walk(root) for name in names)


def stray(tmp_path: Path, *own: Path) -> list[str]:
    """Files outside of the folders of the test's own, and whatever differs in that of others."""
    found = [each for each in files(tmp_path) if not any(Path(each).is_relative_to(folder) for folder in own)]
    assert (tmp_path / "canary" / "kept").read_text() == "kept"
    return [each for each in found if each != str(tmp_path / "canary" / "kept")]


def table_with(column: str, path: str | None = "x.png") -> pa.Table:
    medium = {"bytes": EVIL, "path": path}
    type_ = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table({"n": [1, 2], column: pa.array([medium, medium], type_)})


def stored(kind: str, column: str, home: Path) -> Path:
    if kind == "list":
        table = table_with(column)
        media = pa.array([[each, each] for each in table[column].to_pylist()])
        pq.write_table(pa.table({"n": [1, 2], column: media}), home / "list.parquet")
        features = datasets.Features(
            {
                "n": datasets.Value("int64"),
                column: datasets.List({"bytes": datasets.Value("binary"), "path": datasets.Value("string")}),
            }
        )
        table = (
            pq.read_table(home / "list.parquet")
            .cast(features.arrow_schema)
            .replace_schema_metadata(features.arrow_schema.metadata)
        )
        pq.write_table(table, home / "list.parquet")
        return home / "list.parquet"
    if kind == "parquet":
        pq.write_table(table_with(column), home / "a.parquet")
        return home / "a.parquet"
    datasets.Dataset(table_with(column)).save_to_disk(str(home / "saved"))
    return home / "saved"


@pytest.mark.parametrize("kind", ["parquet", "list", "saved"])
@pytest.mark.parametrize(
    "column", ["{root}/canary/x", "../../x", "..", "/", "a/../../../x", "a/b", "x" * 300, "C:\\x", ".", " ", "kept\n"]
)
def test_the_name_of_a_column_is_no_path(kind: str, column: str, tmp_path: Path, home: Path) -> None:
    column = column.replace("{root}", str(tmp_path))
    path, cache = stored(kind, column, home), home / "cache"
    dataset = open_source(str(path), cache_folder=cache)
    assert column in dataset.column_names
    assert stray(tmp_path, cache, path) == []
    paths = [each for value in dataset[column] for each in (value if isinstance(value, list) else [value])]
    assert {Path(each).relative_to(cache).parts[1] for each in paths} == {"1"}
    assert [Path(each).read_bytes() for each in paths] == [EVIL] * len(paths)


@pytest.mark.parametrize("options", [{}, {"media_root": "clips"}])
def test_nor_does_a_run_that_refuses_the_recipe_write_elsewhere(options: dict[str, Any], tmp_path: Path, home: Path) -> None:
    pq.write_table(table_with(f"{tmp_path}/canary/x"), home / "a.parquet")
    (home / "clips").mkdir()
    recipe = {"dataset_path": "a.parquet", "export_path": "out.jsonl", "work_dir": "run", "process": ["video_duration_filter"]}
    (home / "recipe.yaml").write_text(yaml.safe_dump({**recipe, **options}))
    with pytest.raises(RecipeError, match="the data has no column 'videos'"):
        juicecap.run(home / "recipe.yaml")
    assert stray(tmp_path, home / "run") == [str(home / "a.parquet"), str(home / "recipe.yaml")]
    assert len(list((home / "run").rglob("*.png"))) == 2


@pytest.mark.parametrize(
    ("path", "suffix"),
    [
        ("a.PNG", ".png"),
        ("../../x.mp4", ".mp4"),
        ("a.sh", ".png"),
        ("a.png/../../../x.py", ".png"),
        (f"a.{'x' * 300}", ".png"),
        ("a.\u0661", ".png"),
        (None, ".png"),
    ],
)
def test_a_file_keeps_a_suffix_that_is_known_and_no_other(path: str | None, suffix: str, home: Path) -> None:
    pq.write_table(table_with("film", path), home / "a.parquet")
    dataset = open_source("a.parquet", cache_folder=home / "cache")
    assert [Path(each).name for each in dataset["film"]] == [f"1{suffix}", f"2{suffix}"]


def tar(path: Path, members: list[tuple[str, Any]], **facts: Any) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = content
                archive.addfile(member)
    return path


class TestShards:
    @pytest.mark.parametrize("name", ["../x.mp4", "/x.mp4", "a/../../x.mp4", "a\nb.mp4", "a\x1bb.mp4", "\udcffx.mp4", "//x.mp4"])
    def test_a_name_that_leads_elsewhere_is_refused(self, name: str, tmp_path: Path, home: Path) -> None:
        shard = tar(home / "s.tar", [("ok.mp4", EVIL), (name, EVIL)])
        with pytest.raises(DataError, match=r"would be unpacked elsewhere\. Write the shard again with plain names"):
            open_source(str(shard), cache_folder=home / "cache")
        assert stray(tmp_path, home / "cache", shard) == []

    @pytest.mark.parametrize("name", ["..", "../.mp4", "a/..", ".", "x/.hidden.mp4"])
    def test_hidden_names_are_passed_over(self, name: str, tmp_path: Path, home: Path) -> None:
        shard = tar(home / "s.tar", [("ok.mp4", EVIL), (name, EVIL)])
        assert open_source(str(shard), cache_folder=home / "cache")["videos"][:] == [["s.tar/ok.mp4"]]
        assert stray(tmp_path, home / "cache", shard) == []

    @pytest.mark.parametrize("name", ["a\\..\\..\\x.mp4", "./a/./x.mp4", "a//x.mp4", "~/x.mp4", "-rf.mp4", "é" * 120 + ".mp4"])
    def test_odd_names_stay_inside(self, name: str, tmp_path: Path, home: Path) -> None:
        shard = tar(home / "s.tar", [(name, EVIL)])
        (row,) = open_source(str(shard), cache_folder=home / "cache")
        assert row["videos"] == [f"s.tar/{name}"]
        assert [Path(each).read_bytes() for each in media_paths(row, "videos")] == [EVIL]
        assert stray(tmp_path, home / "cache", shard) == []

    @pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "/".join(["part"] * 300) + ".mp4", "é" * 130 + ".mp4"])
    def test_a_name_that_no_file_can_have(self, name: str, home: Path) -> None:
        shard = tar(home / "s.tar", [(name, EVIL)])
        with pytest.raises(DataError, match=r"has a name that is longer than a file's can be\. Write the shard again"):
            open_source(str(shard), cache_folder=home / "cache")

    def test_a_member_that_is_the_folder_of_another(self, tmp_path: Path, home: Path) -> None:
        shard = tar(home / "s.tar", [("a.mp4", EVIL), ("a.mp4/b.mp4", EVIL)])
        with pytest.raises(DataError, match=r"s\.tar/a\.mp4/b\.mp4 cannot be unpacked: Not a directory\. Give media names"):
            open_source(str(shard), cache_folder=home / "cache")
        turned = tar(home / "t.tar", [("a.mp4/b.mp4", EVIL), ("a.mp4", EVIL)])
        with pytest.raises(DataError, match=r"t\.tar/a\.mp4 cannot be unpacked: Is a directory\. Give media names"):
            open_source(str(turned), cache_folder=home / "cache")
        assert stray(tmp_path, home / "cache", shard, turned) == []
        assert [each for each in files(home / "cache") if each.endswith(".tmp")] == []

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
    def test_members_that_are_no_files_make_nothing(self, kind: bytes, tmp_path: Path, home: Path, said: list[str]) -> None:
        shard = tar(home / "s.tar", [("a", (kind, str(tmp_path / "canary"))), ("a/kept", EVIL), ("a/x.mp4", EVIL)])
        dataset = open_source(str(shard), cache_folder=home / "cache")
        assert dataset["videos"][:] == [None, ["s.tar/a/x.mp4"]]
        assert stray(tmp_path, home / "cache", shard) == []
        assert all(not each.startswith("s.tar: members that are no files") for each in said) == (kind == tarfile.DIRTYPE)

    def test_the_same_name_twice(self, home: Path) -> None:
        shard = tar(home / "s.tar", [("a.mp4", EVIL), ("a.mp4", EVIL[::-1]), ("b.mp4", EVIL)])
        with pytest.raises(DataError, match=r"s\.tar:a: has the member 'a\.mp4' twice\."):
            open_source(str(shard), cache_folder=home / "cache")
        dataset = open_source(str(shard), cache_folder=home / "cache", keep_broken=True)
        assert dataset["videos"][:] == [None, ["s.tar/b.mp4"]]

    def test_names_that_the_file_system_takes_for_the_same(self, home: Path) -> None:
        """As one does that ignores case: here the second name is made one of the first's file, as if by such a system."""
        shard = tar(home / "s.tar", [("a.mp4", EVIL), ("B.mp4", EVIL)])
        media = home / "cache" / "x.media"
        records = webdataset.records([shard], media, SourceOptions())
        assert next(records).values["videos"] == ["s.tar/a.mp4"]
        os.link(media / "s.tar" / "a.mp4", media / "s.tar" / "B.mp4")
        with pytest.raises(DataError, match=r"'s\.tar/B\.mp4' is the name of another medium, as the file system of"):
            next(records)

    def test_every_medium_is_written_once(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put: list[str] = []
        door = MediaFolder.put
        monkeypatch.setattr(MediaFolder, "put", lambda self, name, *rest: (put.append(name), door(self, name, *rest))[1])
        shard = tar(home / "s.tar", [(f"{number}.mp4", EVIL) for number in range(3)])
        open_source(str(shard), cache_folder=home / "cache")
        assert put == ["s.tar/0.mp4", "s.tar/1.mp4", "s.tar/2.mp4"]

    def test_the_value_is_where_the_medium_lies(self, home: Path) -> None:
        (home / "deep").mkdir()
        for name in ("a.tar", "deep/b.tar"):
            tar(home / name, [("0.mp4", name.encode())])
        for path in ("a.tar", "deep"):
            (row,) = open_source(path, cache_folder=home / "cache")
            (found,) = media_paths(row, "videos")
            assert Path(found).read_bytes() == (b"a.tar" if path == "a.tar" else b"deep/b.tar")


class TestTheDoor:
    @pytest.fixture
    def door(self, tmp_path: Path) -> Iterator[MediaFolder]:
        with MediaFolder(tmp_path / "cache" / "f.media", owner="me") as folder:
            yield folder

    @pytest.mark.parametrize("name", ["..", "../x", "a/../x", "/x", "a/\0", "", ".", "//", "a/../../x"])
    def test_names_that_lead_elsewhere(self, name: str, door: MediaFolder, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="would be unpacked elsewhere than into"):
            door.put(name, 1, [b"x"])
        assert stray(tmp_path, tmp_path / "cache") == []

    @pytest.mark.parametrize("part", ["", "a", "a/b"])
    def test_no_folder_that_is_a_link_is_entered(self, part: str, door: MediaFolder, tmp_path: Path) -> None:
        link = door.path / part
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(tmp_path / "canary")
        with pytest.raises(DataError, match=r"cannot be unpacked: .*delete .*f\.media, and run again"):
            door.put("a/b/c.mp4", 1, [b"x"])
        assert stray(tmp_path, tmp_path / "cache") == []

    def test_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(self, door: MediaFolder, tmp_path: Path) -> None:
        (door.path / "a").mkdir(parents=True)
        (door.path / "a" / "x.mp4").symlink_to(tmp_path / "canary" / "kept")
        door.put("a/x.mp4", 4, [b"evil"])
        assert stray(tmp_path, tmp_path / "cache") == []
        assert not (door.path / "a" / "x.mp4").is_symlink()
        assert (door.path / "a" / "x.mp4").read_bytes() == b"evil"

    def test_a_hard_link_in_its_place_is_not_written_through(self, door: MediaFolder, tmp_path: Path) -> None:
        door.path.mkdir(parents=True)
        os.link(tmp_path / "canary" / "kept", door.path / "x.mp4")
        door.put("x.mp4", 4, [b"evil"])
        assert (door.path / "x.mp4").read_bytes() == b"evil"
        assert stray(tmp_path, tmp_path / "cache") == []

    def test_a_pipe_in_its_place_holds_up_nobody(self, door: MediaFolder) -> None:
        door.path.mkdir(parents=True)
        os.mkfifo(door.path / "x.mp4")
        door.put("x.mp4", 4, [b"good"])
        assert (door.path / "x.mp4").read_bytes() == b"good"

    @pytest.mark.parametrize("there", [b"", b"good fil", b"good film and more", b"GOOD film", b"good filM"])
    def test_what_is_there_counts_only_if_it_is_the_same(self, there: bytes, door: MediaFolder) -> None:
        door.path.mkdir(parents=True)
        (door.path / "x.mp4").write_bytes(there)
        door.put("x.mp4", 9, [b"good", b" fi", b"lm"])
        assert (door.path / "x.mp4").read_bytes() == b"good film"
        assert os.listdir(door.path) == ["x.mp4"]

    @pytest.mark.parametrize("content", [b"", b"good film"])
    def test_what_is_the_same_stays_as_it_is(self, content: bytes, door: MediaFolder) -> None:
        door.put("a/x.mp4", len(content), [content])
        before = (door.path / "a" / "x.mp4").stat()
        door.put("a/x.mp4", len(content), [content[:3], memoryview(content)[3:]])
        after = (door.path / "a" / "x.mp4").stat()
        assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (before.st_ino, 0, before.st_ctime_ns)

    def test_nothing_half_written_stays(self, door: MediaFolder, tmp_path: Path) -> None:
        def breaks_off() -> Iterator[bytes]:
            yield b"good"
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            door.put("a/x.mp4", 9, breaks_off())
        assert files(tmp_path / "cache") == []

    def test_a_temporary_file_is_new(self, door: MediaFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also where somebody guessed its name and put a link there."""
        monkeypatch.setattr(unpack.secrets, "token_hex", lambda _: "guessed")
        (tmp_path / "cache" / ".juicecap-me-guessed.tmp").symlink_to(tmp_path / "canary" / "kept")
        with pytest.raises(DataError, match="File exists"):
            door.put("x.mp4", 4, [b"evil"])
        assert stray(tmp_path, tmp_path / "cache") == []

    def test_a_disk_that_has_no_room_is_told_before_anything_is_written(
        self, door: MediaFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unpack.os, "fstatvfs", lambda _: SimpleNamespace(f_blocks=100, f_bavail=10, f_frsize=100))
        with pytest.raises(EnvironmentFailure) as caught:
            door.put("a/x.mp4", 1001, [b"x" * 1001])
        assert str(caught.value) == (
            f"{door.path}/a/x.mp4 needs 1,001 bytes, and 1,000 are free on its disk. Free some space and run again."
        )
        assert files(tmp_path / "cache") == []
        door.put("a/x.mp4", 1000, [b"x" * 1000])

    def test_a_disk_that_fills_up_is_a_sentence(self, door: MediaFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(unpack.os, "utime", full)
        with pytest.raises(
            EnvironmentFailure, match=r"x\.mp4 cannot be written \(No space left on device\); running again resumes"
        ):
            door.put("x.mp4", 4, [b"good"])
        assert files(tmp_path / "cache") == []


@pytest.mark.parametrize("kind", ["saved", "in memory"])
def test_a_fingerprint_that_a_dataset_claims_does_not_lead_to_the_media_of_another(
    kind: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", home / "cache")
    found: list[bytes] = []
    fingerprints: set[str] = set()
    for number in range(2):
        medium = {"bytes": EVIL + b"%d" % number, "path": "x.png"}
        dataset = datasets.Dataset(pa.table({"film": [medium]}), fingerprint="the same")
        if kind == "saved":
            folder = home / f"saved{number}"
            dataset.save_to_disk(str(folder))
            state = json.loads((folder / "state.json").read_text())
            (folder / "state.json").write_text(json.dumps({**state, "_fingerprint": "the same"}))
            dataset = datasets.load_from_disk(str(folder))
        fingerprints.add(dataset._fingerprint)
        found.extend(Path(media_as_files(dataset)["film"][0]).read_bytes()[-1:] for _ in range(2))
    assert len(fingerprints) == 1
    assert found == [b"0", b"0", b"1", b"1"]
    assert len(list((home / "cache").rglob("*.png"))) == 2
