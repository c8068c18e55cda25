"""Shards of tar files that WebDataset reads: each sample whole, in order, and the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import datasets
import pytest
import yaml
from exporting import Exporting, digest

from juicecap.data.source import open_source
from juicecap.errors import BugError, DataError, UsageError

ENTRY = {"to": "out/shards", "as": "webdataset"}


def samples(folder: Path) -> list[dict[str, bytes]]:
    """The samples of all shards: suffix -> content, and the key."""
    found: dict[str, dict[str, bytes]] = {}
    for file in sorted(folder.glob("*.tar")):
        with tarfile.open(file) as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                found.setdefault(key, {"key": key.encode()})[suffix] = tar.extractfile(member).read()  # type: ignore[union-attr]
    return list(found.values())


def test_samples_are_numbered_and_whole(exporting: Exporting) -> None:
    exporting.write([{"videos": [name], "caption": caption, "n": 1} for name, caption in exporting.captions.items()])
    (told,) = exporting.run(ENTRY).exports
    found = samples(exporting.folder / "out" / "shards")
    captioned = {name: caption for name, caption in exporting.captions.items() if caption is not None}
    assert (told.rows, dict(told.left_out)) == (5, {"without a caption": 1})
    for number, (sample, (name, caption)) in enumerate(zip(found, captioned.items(), strict=True)):
        first = caption[0] if isinstance(caption, list) else caption
        assert sample["key"] == f"{number:09d}".encode()
        assert hashlib.sha256(sample["mp4"]).hexdigest() == digest(exporting.clip(name))
        assert sample["txt"].decode() == first
        assert json.loads(sample["json"]) == {"n": 1, "captions": [first], "name": Path(name).name}
    index = yaml.safe_load((exporting.folder / "out" / "shards" / "index.yaml").read_text())
    assert (index["format"], index["rows"]) == ("webdataset", 5)
    assert index["shards"] == [
        {
            "file": "shard-000000.tar",
            "rows": 5,
            "bytes": (exporting.folder / "out" / "shards" / "shard-000000.tar").stat().st_size,
        }
    ]


def test_shards_by_size_have_the_same_bytes_each_time(exporting: Exporting) -> None:
    size = exporting.clip("clip.mp4").stat().st_size
    entry = {**ENTRY, "shard_size": 2 * size - 10}
    exporting.run(entry)
    folder = exporting.folder / "out" / "shards"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(before) == ["index.yaml", "shard-000000.tar", "shard-000001.tar", "shard-000002.tar"]
    for path in exporting.folder.glob("data/*.mp4"):
        os.utime(path)
    exporting.run(entry)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    exporting.run({**entry, "shard_size": "1GB"})
    assert sorted(path.name for path in folder.iterdir()) == ["index.yaml", "shard-000000.tar"]


def test_captions_of_one_clip_are_one_sample_and_a_part_is_cut(exporting: Exporting) -> None:
    rows = [
        {"videos": ["clip.mp4"], "caption": ["a", "b"]},
        {"videos": ["clip.mp4#t=0.5,1"], "caption": "part"},
        {"videos": ["clip.mp4"], "caption": "c"},
    ]
    exporting.write(rows)
    exporting.run(ENTRY)
    whole, part = samples(exporting.folder / "out" / "shards")
    assert json.loads(whole["json"])["captions"] == ["a", "b", "c"]
    assert (whole["txt"], part["txt"]) == (b"a", b"part")
    assert part["mp4"] != whole["mp4"]


def test_datasets_and_juicecap_read_it(exporting: Exporting, tmp_path: Path) -> None:
    exporting.run(ENTRY)
    folder = exporting.folder / "out" / "shards"
    read = datasets.load_dataset("webdataset", data_files=str(folder / "*.tar"), split="train", cache_dir=str(tmp_path / "cache"))
    captions = [
        caption[0] if isinstance(caption, list) else caption for caption in exporting.captions.values() if caption is not None
    ]
    assert list(read["txt"]) == captions
    own = open_source(str(folder), cache_folder=tmp_path / "own")
    assert len(own) == 5


def test_a_folder_with_other_things_is_left_alone(exporting: Exporting) -> None:
    folder = exporting.folder / "out" / "shards"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("precious")
    with pytest.raises((DataError, UsageError), match=r"notes\.txt|was not written by this run"):
        exporting.run(ENTRY)
    with pytest.raises(DataError, match=r"holds notes\.txt, which is no part of an export in shards"):
        exporting.run(ENTRY, overwrite=True)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_what_was_not_written_is_noticed(exporting: Exporting, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tarfile.TarFile.addfile

    def lossy(self: tarfile.TarFile, member: tarfile.TarInfo, stream: object = None) -> None:
        if member.name != "000000001.txt":
            real(self, member, stream)  # type: ignore[arg-type]

    monkeypatch.setattr(tarfile.TarFile, "addfile", lossy)
    with pytest.raises(BugError, match="5 samples were written but 4 were read back"):
        exporting.run(ENTRY)
    assert not (exporting.folder / "out" / "shards").exists()
