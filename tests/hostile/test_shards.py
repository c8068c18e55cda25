"""Shards that claim too much: what they cost is bounded before anything of it is spent."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from opened_apart import opened_apart
from waiting import until

import juicecap
from juicecap.data import compressed
from juicecap.data.source import open_source, unpack
from juicecap.data.source.shards import webdataset
from juicecap.errors import DataError, EnvironmentFailure
from juicecap.sample import MOST_NESTED

FILM = b"\0\0\0\x18ftypmp42" + b"film" * 100


def archive(members: list[tuple[str, bytes]], **pax: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = len(content), pax
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def claiming(name: str, size: int, content: bytes = b"") -> bytes:
    """A header that claims a size, and what follows."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT) + content


def complaint(path: Path, tmp_path: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        open_source(str(path), cache_folder=tmp_path / "cache", **options)
    return str(caught.value)


def left(tmp_path: Path) -> list[str]:
    return [name for _, _, names in os.walk(tmp_path / "cache") for name in names]


@pytest.mark.parametrize("pax", [{"size": "9" * 1_000_000}, {"mtime": "9" * 500_000}, {"GNU.sparse.realsize": "9" * 1_000_000}])
def test_digits_without_end_hold_up_nobody(pax: dict[str, str], tmp_path: Path) -> None:
    """`tarfile` makes a number of them, for minutes, and hears no signal meanwhile."""
    (tmp_path / "s.tar").write_bytes(archive([("a.txt", b"x"), ("b.txt", b"y")], **pax))
    opened = opened_apart(tmp_path / "s.tar", tmp_path / "cache", seconds=60, keep_broken=True)
    if "size" in pax:
        assert opened.message.endswith("the attributes at byte 0 claim a size that no member has. Fetch or write it again.")
    else:
        assert opened.rows == 2 if "mtime" in pax else "sparse member" in opened.message


def test_a_member_that_claims_terabytes_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "s.tar").write_bytes(claiming("a.mp4", 2**42, FILM * 10))
    assert complaint(tmp_path / "s.tar", tmp_path) == (
        f"{tmp_path}/s.tar cannot be read as a tar file: unexpected end of data. Fetch or write it again."
    )
    (tmp_path / "s.tar.gz").write_bytes(gzip.compress(claiming("a.mp4", 2**42, FILM * 10)))
    assert complaint(tmp_path / "s.tar.gz", tmp_path) == (
        f"{tmp_path}/s.tar.gz unpacks to more than 1,073,741,824 bytes, which no records of its size do. "
        "If that is meant, unpack it and give the unpacked file."
    )
    assert left(tmp_path) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.npy", "a.txt"])
def test_a_small_packed_shard_does_not_take_gigabytes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "SMALL", 1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = packer.compress(claiming(name, 300 << 20)) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300))
    (tmp_path / "s.tgz").write_bytes(data + packer.flush())
    most = 200 * (tmp_path / "s.tgz").stat().st_size
    assert complaint(tmp_path / "s.tgz", tmp_path).startswith(f"{tmp_path}/s.tgz unpacks to more than {most:,} bytes")
    assert left(tmp_path) == []


def test_a_sparse_file_on_disk_does_not_fill_it(tmp_path: Path) -> None:
    """A shard of hardly any blocks, with a film that is larger than the disk."""
    path = tmp_path / "s.tar"
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    size = free + (1 << 30)
    path.write_bytes(claiming("a.mp4", size))
    try:
        os.truncate(path, size + 10_240)
    except OSError:
        pytest.skip("the file system has no files of that size")
    with pytest.raises(
        EnvironmentFailure, match=r"s\.tar/a\.mp4 needs [\d,]+ bytes, and [\d,]+ are free on its disk\. Free some"
    ):
        open_source(str(path), cache_folder=tmp_path / "cache")
    assert left(tmp_path) == []
    assert complaint(path, tmp_path, media_max_mb=1) == (
        f"{path}:a: 'a.mp4' has {size:,} bytes, more than 1,048,576 (media_max_mb)."
    )


def test_media_max_mb_of_the_recipe_is_met_before_anything_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    members = [("a.mp4", bytes(3 << 20)), ("a.txt", b"a"), ("b.mp4", FILM), ("b.txt", b"b")]
    (tmp_path / "s.tar").write_bytes(archive(members))
    recipe = {"dataset_path": "s.tar", "export_path": "out.jsonl", "work_dir": "run", "max_rejected": 1.0, "text_keys": "txt"}
    ops = [{"text_length_filter": {"min_len": 1}}, {"video_duration_filter": {"media_max_mb": 2}}]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**recipe, "process": ops}))
    result = juicecap.run(tmp_path / "recipe.yaml")
    rejected = [json.loads(line) for line in (tmp_path / "run" / "rejected.jsonl").read_text().splitlines()]
    assert (rejected[0]["code"], rejected[0]["message"]) == (
        "BROKEN_RECORD",
        "s.tar:a: 'a.mp4' has 3,145,728 bytes, more than 2,097,152 (media_max_mb).",
    )
    assert result.samples == 2
    assert [path.name for path in (tmp_path / "run").rglob("*.mp4")] == ["b.mp4"]


def test_a_full_disk_in_the_middle_of_a_shard_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s.tar").write_bytes(archive([("a.mp4", FILM), ("b.mp4", FILM * 2)]))
    room = unpack.MediaFolder._check_room

    def small(self: Any, name: str, size: int) -> None:
        room(self, name, size if size == len(FILM) else 2**60)

    monkeypatch.setattr(unpack.MediaFolder, "_check_room", small)
    with pytest.raises(EnvironmentFailure, match=r"b\.mp4 needs"):
        open_source(str(tmp_path / "s.tar"), cache_folder=tmp_path / "cache")
    assert left(tmp_path) == ["a.mp4"]
    monkeypatch.undo()
    assert len(open_source(str(tmp_path / "s.tar"), cache_folder=tmp_path / "cache")) == 2


class TestSamples:
    def test_texts_are_bounded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webdataset, "LONGEST", 1000)
        members = [("a.txt", b"x" * 600), ("a.json", b'"' + b"y" * 500 + b'"'), ("b.txt", b"x" * 1000), ("c.txt", b"x" * 1001)]
        (tmp_path / "s.tar").write_bytes(archive(members))
        dataset = open_source(str(tmp_path / "s.tar"), cache_folder=tmp_path / "cache", keep_broken=True)
        assert dataset["__key__"][:] == [None, "b", None]
        assert {row["reason"] for row in dataset["__juicecap_broken__"][:] if row} == {
            "texts of more than 1,000 bytes. Mend the sample or remove it."
        }

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"[" * 200_000, "lists or objects are nested too deeply. Flatten the record."),
            (b"[" * 65 + b"]" * 65, "lists or objects are nested too deeply. Flatten the record."),
            (b"9" * 200_000, f"the integer {'9' * 40} does not fit into 64 bits and should be a string. Mend the record."),
            (b"[18446744073709551616]", "the integer 18446744073709551616 does not fit into 64 bits"),
            (b"1e999", "the number 1e999 is too large for a float. Mend the record."),
            (b'[{"a": 1, "a": 2}]', "the key 'a' stands twice in one object. Mend the record."),
            (b'"\\ud800"', "a \\u escape is half of a surrogate pair"),
            (b"1 2", "not valid JSON: Extra data at column 3."),
            (b"", "not valid JSON: Expecting value at column 1."),
        ],
    )
    def test_json_that_is_no_object_is_as_strict(self, content: bytes, reason: str, tmp_path: Path) -> None:
        (tmp_path / "s.tar").write_bytes(archive([("a.json", content), ("b.json", b"[1, 2.5]")]))
        assert complaint(tmp_path / "s.tar", tmp_path).startswith(f"{tmp_path}/s.tar:a: {reason}")
        dataset = open_source(str(tmp_path / "s.tar"), cache_folder=tmp_path / "cache", keep_broken=True)
        assert dataset["json"][:] == [None, [1, 2.5]]

    def test_so_many_members_are_no_sample(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webdataset, "MEMBERS", 5)
        members = [(f"a.{number}.jpg", b"x") for number in range(6)]
        (tmp_path / "s.tar").write_bytes(archive([*members, *((f"b.{number}.jpg", b"x") for number in range(5))]))
        dataset = open_source(str(tmp_path / "s.tar"), cache_folder=tmp_path / "cache", keep_broken=True)
        assert [len(value or ()) for value in dataset["images"]] == [0, 5]
        assert dataset[0]["__juicecap_broken__"]["reason"] == "has more than 5 members. Make several samples of it."

    def test_suffixes_and_links_without_end_are_said_in_a_few_lines(self, tmp_path: Path, said: list[str]) -> None:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for number in range(100):
                link = tarfile.TarInfo(f"{number}.txt")
                link.type, link.linkname = tarfile.SYMTYPE, "x"
                tar.addfile(link)
                tar.addfile(tarfile.TarInfo(f"{number}.x{number}"))
        (tmp_path / "s.tar").write_bytes(stream.getvalue())
        open_source(str(tmp_path / "s.tar"), cache_folder=tmp_path / "cache")
        assert len(said) == 22
        assert said[0] == "s.tar: members that are no files, such as '0.txt', are left out"
        assert said[-1].endswith("nor JSON (and there are more such suffixes, which are not named)")

    def test_two_members_of_one_column(self, tmp_path: Path) -> None:
        (tmp_path / "s.tar").write_bytes(archive([("a.txt", b"x"), ("a.TXT", b"y")]))
        assert complaint(tmp_path / "s.tar", tmp_path).endswith(
            "s.tar:a: has two members with the suffix 'txt'. Write the shard again."
        )

    def test_deep_structures_that_are_allowed_come_back(self, tmp_path: Path) -> None:
        deep = '{"a": ' * (MOST_NESTED - 1) + "[1]" + "}" * (MOST_NESTED - 1)
        (tmp_path / "s.tar").write_bytes(archive([("a.json", deep.encode())]))
        assert json.dumps(open_source(str(tmp_path / "s.tar"), cache_folder=tmp_path / "cache")[0]["json"]) == deep


class TestPatterns:
    @pytest.mark.parametrize("pattern", ["x-{000..999999999999}.tar", "x" + "{0..9}" * 12 + ".tar", "{0..2000}{0..2000}.tar"])
    def test_that_explode_are_refused(self, pattern: str, tmp_path: Path) -> None:
        path = f"{tmp_path}/{pattern}"
        assert (
            complaint(Path(path), tmp_path)
            == f"{path} stands for more than 1,000,000 names. Give a pattern with fewer, or with `*`."
        )

    def test_that_are_none_are_a_sentence(self, tmp_path: Path) -> None:
        assert complaint(tmp_path / "**a.tar", tmp_path).startswith(f"{tmp_path}/**a.tar")


@pytest.mark.parametrize(("sign", "packer"), [(b"BZh9", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")])
def test_other_packers_are_named(sign: bytes, packer: str, tmp_path: Path) -> None:
    (tmp_path / "s.tar").write_bytes(sign + b"x" * 100)
    assert complaint(tmp_path / "s.tar", tmp_path) == (
        f"{tmp_path}/s.tar is packed by {packer}, and shards are packed by gzip or not at all. Pack it again."
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_long_read_ends_when_it_is_asked_to(number: signal.Signals, tmp_path: Path) -> None:
    header = claiming("a.npy", 0)
    with (tmp_path / "s.tar").open("wb") as stream:
        for _ in range(200):
            stream.write(header * 5000)
    recipe = {"dataset_path": "s.tar", "export_path": "out.jsonl", "work_dir": "run", "process": ["text_length_filter"]}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    with subprocess.Popen(
        [sys.executable, "-m", "juicecap", "run", "recipe.yaml"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        until((tmp_path / "run" / "unfinished").exists, process)
        process.send_signal(number)
        try:
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()
