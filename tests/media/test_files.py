import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from juicecap.errors import MediaError
from juicecap.media import digest
from juicecap.media.digest import content_digest
from juicecap.media.files import check_file
from juicecap.media.image import read_image
from juicecap.media.probe import probe

DOORS = [check_file, content_digest, probe, lambda path: read_image(path, lambda width, height: (width, height))]


def refusal(door: object, path: str) -> tuple[str, str]:
    with pytest.raises(MediaError) as caught:
        door(path)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_file(tmp_path: Path, door: object) -> None:
    gone, empty = tmp_path / "gone.mp4", tmp_path / "empty.mp4"
    empty.touch()
    fifo = tmp_path / "pipe.mp4"
    os.mkfifo(fifo)
    assert refusal(door, str(gone)) == ("FILE_NOT_FOUND", f"{gone} does not exist")
    assert refusal(door, "a\0b.mp4")[0] == "FILE_NOT_FOUND"
    assert refusal(door, f"{empty}/x.mp4")[0] == "FILE_NOT_FOUND"
    assert refusal(door, str(tmp_path)) == ("NOT_A_FILE", f"{tmp_path} is a folder, not a file")
    assert refusal(door, str(fifo)) == ("NOT_A_FILE", f"{fifo} is a named pipe, not a file")
    assert refusal(door, str(empty)) == ("UNREADABLE", f"{empty} is empty")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Who runs the tests, unless that is root, who may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("door", DOORS)
def test_no_permission(door: object) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own lies where nobody may look
        os.chmod(folder, 0o755)
        locked, inside = Path(folder) / "locked.mp4", Path(folder) / "locked" / "a.mp4"
        inside.parent.mkdir()
        for path in (locked, inside):
            path.write_bytes(b"x")
        locked.chmod(0)
        inside.parent.chmod(0)
        with as_nobody():
            for path in (locked, inside):
                assert refusal(door, str(path)) == ("NO_PERMISSION", f"{path} may not be read by this user")
        inside.parent.chmod(0o700)


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    first, second, third = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    first.write_bytes(b"same"), second.write_bytes(b"same"), third.write_bytes(b"other")
    assert content_digest(str(first)) == content_digest(str(second)) != content_digest(str(third))
    assert len(content_digest(str(first))) == 32


def test_large_files_are_hashed_in_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "WHOLE_UP_TO", 1000)
    monkeypatch.setattr(digest, "_BLOCK", 100)
    path = tmp_path / "large"
    path.write_bytes(bytes(range(250)) * 400)
    os.utime(path, ns=(0, 5))
    before = content_digest(str(path))
    assert content_digest(str(path)) == before
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    os.utime(path, ns=(0, 5))
    assert content_digest(str(path)) != before
    changed[-1] ^= 1
    path.write_bytes(changed)
    os.utime(path, ns=(0, 6))
    assert content_digest(str(path)) != before
