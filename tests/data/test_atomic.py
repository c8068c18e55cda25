"""A file is there whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from juicecap.data.writing.atomic import replacing, swap_in
from juicecap.errors import DataError, EnvironmentFailure


def test_the_old_file_stays_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with replacing(path) as stream:
        stream.write(b"one")
        assert not path.exists()
        assert Path(stream.name).parent == path.parent
    with replacing(path) as stream:
        stream.write(b"two")
        assert path.read_bytes() == b"one"
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path) as stream:
        stream.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_file_and_folder_are_synced_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[bool, bool]] = []
    path = tmp_path / "a.txt"
    real = os.fsync

    def spy(handle: int) -> None:
        synced.append((os.path.isdir(f"/proc/self/fd/{handle}"), path.exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", spy)
    with replacing(path) as stream:
        stream.write(b"x")
    assert synced == [(False, False), (True, True)]


def test_a_limit_on_the_size_of_files_is_not_the_paths_fault(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with (
            pytest.raises(EnvironmentFailure, match=r"a\.txt cannot be written: File too large\. Run again once that is mended"),
            replacing(tmp_path / "a.txt") as stream,
        ):
            stream.write(b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_the_environments_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def full(handle: int) -> None:
        raise OSError(code, "full")

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(EnvironmentFailure, match=r"a\.txt cannot be written: no space left"),
        replacing(tmp_path / "a.txt") as stream,
    ):
        stream.write(b"x")
    assert os.listdir(tmp_path) == []


def test_a_folder_and_a_file_for_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is a folder"), replacing(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DataError, match=r"a\.txt cannot be written: (Not a directory|File exists)"),
        replacing(tmp_path / "file" / "a.txt"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(DataError, match="Permission denied"), replacing(tmp_path / "locked" / "a.txt"):
        pass


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with replacing(tmp_path / "link.txt") as stream:
        stream.write(b"new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_a_full_disk_leaves_nothing_of_a_file_that_is_swapped_in(disk_of: Callable[[str], Path]) -> None:
    disk = disk_of("64k")
    swap_in(disk / "status.json", b"{}")
    with pytest.raises(EnvironmentFailure):
        swap_in(disk / "status.json", bytes(2**20))
    assert {path.name: path.read_bytes() for path in disk.iterdir()} == {"status.json": b"{}"}
