"""An export in shards: it appears at once with its index, or what was there stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from datasets import Dataset, load_dataset

from juicecap.data.columns import features_of
from juicecap.data.export import FORMATS, export_target, jsonl, write_export
from juicecap.data.source import open_source
from juicecap.data.writing import atomic
from juicecap.data.writing.atomic import remove_leftovers
from juicecap.errors import BugError, DataError, EnvironmentFailure
from juicecap.sample import ORIGIN

WRITER = """
import sys, time
from datasets import Dataset
from juicecap.data.export import jsonl, write_export
real = jsonl.write
def slow(dataset, stream):
    real(dataset, stream)
    stream.flush()
    print("written", flush=True)
    time.sleep(60)
jsonl.write = slow
write_export(Dataset.from_dict({"n": [1, 2, 3]}), sys.argv[1], shard_size=int(sys.argv[2]), owner="me")
"""


def numbers(count: int) -> Dataset:
    return Dataset.from_dict({"n": list(range(count))})


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_rows_in_order_names_as_data_juicers_and_an_index(name: str, tmp_path: Path) -> None:
    assert write_export(numbers(1000), tmp_path / f"out.{name}", shard_size=3000) == 1000
    folder = tmp_path / "out"
    files = [f"out-{number:02}-of-03.{name}" for number in range(3)]
    assert sorted(os.listdir(folder)) == ["index.yaml", *files]
    assert os.listdir(tmp_path) == ["out"]
    index = yaml.safe_load((folder / "index.yaml").read_text())
    assert (index["format"], index["rows"]) == (name, 1000)
    assert [(shard["file"], shard["rows"]) for shard in index["shards"]] == list(zip(files, (334, 333, 333), strict=True))
    assert [shard["bytes"] for shard in index["shards"]] == [(folder / file).stat().st_size for file in files]
    back = [int(n) for file in files for n in open_source(str(folder / file), cache_folder=tmp_path / "cache")["n"]]
    assert back == list(range(1000))


def test_a_reader_that_takes_the_whole_folder_meets_rows_only(tmp_path: Path) -> None:
    write_export(numbers(100), tmp_path / "out.jsonl", shard_size=300)
    assert load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))["n"][:] == list(range(100))


def test_hidden_columns_and_rows_that_are_not_selected_have_no_part_in_the_size(tmp_path: Path) -> None:
    origin = {"id": "a long name of a file.jsonl:1", "folder": "/a/long/path", "missing": []}
    rows = Dataset.from_dict({"n": list(range(1000)), ORIGIN: [origin] * 1000}).select(range(0, 1000, 10))
    write_export(rows, tmp_path / "out.jsonl", shard_size=500)
    assert yaml.safe_load((tmp_path / "out" / "index.yaml").read_text())["shards"][0]["rows"] == 50


def test_few_rows_and_none(tmp_path: Path) -> None:
    write_export(numbers(2), tmp_path / "two.jsonl", shard_size=1)
    assert sorted(os.listdir(tmp_path / "two")) == ["index.yaml", "two-00-of-02.jsonl", "two-01-of-02.jsonl"]
    empty = Dataset.from_dict({"a": []}, features=features_of({"a": "text"}))
    write_export(empty, tmp_path / "none.jsonl", shard_size=1)
    assert yaml.safe_load((tmp_path / "none" / "index.yaml").read_text())["rows"] == 0


def test_where_it_goes() -> None:
    assert export_target(Path("a/b.c.jsonl"), 0) == Path("a/b.c.jsonl")
    assert export_target(Path("a/b.c.jsonl"), 1) == Path("a/b.c")


@pytest.mark.parametrize("in_one_step", [True, False])
def test_an_export_takes_the_place_of_another(in_one_step: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not in_one_step:
        monkeypatch.setattr(atomic.sys, "platform", "darwin")
    write_export(numbers(1000), tmp_path / "out.jsonl", shard_size=1000)
    write_export(numbers(10), tmp_path / "out.jsonl", shard_size=1000)
    assert content(tmp_path / "out").keys() == {"index.yaml", "out-00-of-01.jsonl"}
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("shard", [0, 1, 2])
def test_a_disk_that_is_full_at_any_shard_leaves_the_old_export(
    shard: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_export(numbers(1000), tmp_path / "out.jsonl", shard_size=3000)
    before, real, writes = content(tmp_path / "out"), jsonl.write, []

    def full(dataset: Dataset, stream: object) -> None:
        writes.append(dataset)
        if len(writes) <= shard:
            real(dataset, stream)
        else:
            with open("/dev/full", "wb", buffering=0) as disk:
                real(dataset, disk)

    monkeypatch.setattr(jsonl, "write", full)
    with pytest.raises(EnvironmentFailure, match="out cannot be written: no space left"):
        write_export(numbers(1001), tmp_path / "out.jsonl", shard_size=3000)
    assert len(writes) == shard + 1
    assert content(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


def test_a_shard_with_a_wrong_count_leaves_the_old_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_export(numbers(1000), tmp_path / "out.jsonl", shard_size=3000)
    before = content(tmp_path / "out")
    monkeypatch.setattr(jsonl, "count", lambda path: 334 if "00-of" in path.name else 332)
    with pytest.raises(BugError, match=r"out-01-of-03\.jsonl: 333 rows were written but 332 were read back"):
        write_export(numbers(1000), tmp_path / "out.jsonl", shard_size=3000)
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("size", [0, 8])
def test_a_writer_that_is_killed_leaves_the_old_export_and_what_it_began_can_be_taken_away(size: int, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_export(numbers(10), path, shard_size=size)
    target = export_target(path, size)
    before = content(target) if size else target.read_bytes()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path, str(size)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    assert writer.stdout.readline() == "written\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert len(os.listdir(tmp_path)) == 2
    assert (content(target) if size else target.read_bytes()) == before
    remove_leftovers(target, "somebody else")
    assert len(os.listdir(tmp_path)) == 2
    remove_leftovers(target, "me")
    assert os.listdir(tmp_path) == [target.name]
    assert (content(target) if size else target.read_bytes()) == before


def test_an_exchange_in_two_steps_that_was_cut_between_them_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_export(numbers(10), tmp_path / "out.jsonl", shard_size=1000)
    before = content(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / ".out.juicecap-aside")  # here the power fails
    remove_leftovers(tmp_path / "out", "me")
    assert content(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("index", [None, "a: 1\n", "- 1\n", "\0"])
def test_a_folder_that_holds_something_else_is_not_replaced(index: str | None, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious.txt").write_text("mine")
    if index is not None:
        (tmp_path / "out" / "index.yaml").write_text(index)
    with pytest.raises(DataError, match=r"it holds (index\.yaml|precious\.txt), which is no part of an export in shards"):
        write_export(numbers(1), tmp_path / "out.jsonl", shard_size=1)
    assert (tmp_path / "out" / "precious.txt").read_text() == "mine"


def test_a_file_in_its_place_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match="it is a file, and an export in shards is a folder"):
        write_export(numbers(1), tmp_path / "out.jsonl", shard_size=1)
    assert (tmp_path / "out").read_text() == "mine"


def test_every_shard_and_the_index_are_on_disk_before_they_appear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, synced = os.fsync, []

    def spy(handle: int) -> None:
        synced.append((os.path.basename(os.readlink(f"/proc/self/fd/{handle}")), (tmp_path / "out").exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", spy)
    write_export(numbers(2), tmp_path / "out.jsonl", shard_size=1)
    names = [name for name, _ in synced]
    assert names[:3] == ["out-00-of-02.jsonl", "out-01-of-02.jsonl", "index.yaml"]
    assert names[3].startswith(".juicecap-")
    assert synced[4] == (tmp_path.name, True)
    assert not any(there for _, there in synced[:4])
