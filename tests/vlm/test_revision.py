"""What a local model is by its files."""

from __future__ import annotations

import os
import shutil
from hashlib import blake2b
from pathlib import Path

import pytest

from juicecap.vlm.models import revision
from juicecap.vlm.models.names import DEMO_MODEL, model_source
from juicecap.vlm.models.revision import folder_revision, lasting_name, legacy_revision

HEADER, LARGE = 1000, 2_000_000


def overwrite(file: Path, at: int, content: bytes = b"changed") -> None:
    """Change bytes of a file and leave its size and time."""
    before = file.stat()
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of weights that counts as a large one."""
    monkeypatch.setattr(revision, "WHOLE_UP_TO", 100_000)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(HEADER.to_bytes(8, "little") + bytes(LARGE))
    return folder


def test_equal_files_in_two_folders_are_one_model(model, tmp_path):
    other = tmp_path / "elsewhere" / "other-name"
    shutil.copytree(model, other, copy_function=shutil.copyfile)
    os.utime(other / "model.safetensors", ns=(1, 1))
    assert folder_revision(str(other)) == folder_revision(str(model))
    assert (lasting_name(str(other)), lasting_name(str(model))) == ("", "")


@pytest.mark.parametrize("at", [0, HEADER, 8000, (LARGE + 8 - 4096) * 128 // 255, LARGE])
def test_other_weights_are_another_model(model, at):
    before = folder_revision(str(model))
    overwrite(model / "model.safetensors", at, b"c" * 8)
    assert folder_revision(str(model)) != before


def test_a_byte_of_the_header_counts_however_long_it_is(model, monkeypatch):
    monkeypatch.setattr(revision, "_BLOCK", 16)
    before = folder_revision(str(model))
    overwrite(model / "model.safetensors", HEADER - 1, b"c")
    assert folder_revision(str(model)) != before


def test_another_size_name_or_small_file_is_another_model(model):
    seen = {folder_revision(str(model))}
    os.truncate(model / "model.safetensors", LARGE + 9)
    seen.add(folder_revision(str(model)))
    (model / "config.json").write_text("[]")
    seen.add(folder_revision(str(model)))
    (model / "config.json").rename(model / "more.json")
    seen.add(folder_revision(str(model)))
    assert len(seen) == 4


def test_little_is_read_of_large_files(model, monkeypatch):
    read = []
    real = os.pread

    def pread(fd: int, length: int, at: int) -> bytes:
        read.append(length)
        return real(fd, length, at)

    monkeypatch.setattr(os, "pread", pread)
    os.truncate(model / "model.safetensors", 10**10)
    folder_revision(str(model))
    assert sum(read) == 8 + 8 + HEADER + 2**20


def test_a_header_that_claims_to_be_endless_is_not_read_to_its_end(model, monkeypatch):
    monkeypatch.setattr(revision, "MOST_HEADER_BYTES", 64)
    (model / "model.safetensors").write_bytes(b"\xff" * 8 + bytes(LARGE))
    assert len(folder_revision(str(model))) == 12


def test_what_is_no_folder_here_has_a_name_that_lasts():
    assert (folder_revision("org/model"), lasting_name("org/model")) == ("", "org/model")
    assert lasting_name(DEMO_MODEL) == DEMO_MODEL


def test_the_revision_of_a_small_model_is_that_of_before_and_so_are_its_seeds():
    state = blake2b(digest_size=6)
    for file in sorted(Path(model_source(DEMO_MODEL)).iterdir()):
        state.update(file.name.encode() + file.read_bytes())
    assert folder_revision(DEMO_MODEL) == legacy_revision(DEMO_MODEL) == state.hexdigest()
