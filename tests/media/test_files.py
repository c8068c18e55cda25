import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_clips import write_clip

from juicecap.errors import EnvironmentFailure, MediaError
from juicecap.media import digest
from juicecap.media.access import files
from juicecap.media.access.files import check_file, lies_inside
from juicecap.media.digest import content_digest
from juicecap.media.image import read_image
from juicecap.media.rules import MediaLimits
from juicecap.media.video.probe import probe
from juicecap.sample import display_path

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


class TestLargeFiles:
    """Of a large file its size counts, and blocks of it: here 32 of 100 bytes, 3,222 bytes apart."""

    CONTENT = bytes(range(250)) * 400

    @pytest.fixture
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(digest, "WHOLE_UP_TO", 1000)
        monkeypatch.setattr(digest, "_BLOCK", 100)
        path = tmp_path / "large"
        path.write_bytes(self.CONTENT)
        return path

    def test_neither_name_nor_time_counts(self, path: Path, tmp_path: Path) -> None:
        before = content_digest(str(path))
        other = shutil.copyfile(path, tmp_path / "other")
        os.utime(other, ns=(0, 5))
        assert content_digest(str(other)) == before

    @pytest.mark.parametrize("place", [0, 99, 3222, 51_561, 99_900, 99_999])
    def test_a_changed_block_is_noticed(self, path: Path, place: int) -> None:
        before = content_digest(str(path))
        path.write_bytes(self.CONTENT[:place] + bytes([self.CONTENT[place] ^ 1]) + self.CONTENT[place + 1 :])
        assert content_digest(str(path)) != before

    def test_so_is_whatever_is_longer_than_their_distance(self, path: Path) -> None:
        before = content_digest(str(path))
        path.write_bytes(self.CONTENT[:50_000] + b"\xff" * 3222 + self.CONTENT[53_222:])
        assert content_digest(str(path)) != before

    def test_so_is_another_size(self, path: Path) -> None:
        path.write_bytes(bytes(100_000))
        before = content_digest(str(path))
        path.write_bytes(bytes(100_001))
        assert content_digest(str(path)) != before

    def test_a_change_between_two_blocks_is_not(self, path: Path) -> None:
        before = content_digest(str(path))
        path.write_bytes(self.CONTENT[:200] + b"\xff" * 3000 + self.CONTENT[3200:])
        assert content_digest(str(path)) == before


class TestNames:
    """Paths that no file can have are refused at once, with `media_root` and without."""

    @pytest.fixture(params=["anywhere", "within"])
    def rules(self, request: pytest.FixtureRequest, tmp_path: Path) -> MediaLimits:
        return MediaLimits(root=os.path.realpath(tmp_path) if request.param == "within" else "")

    @pytest.mark.parametrize(
        ("path", "why"),
        [
            ("a\0b.mp4", "cannot be a path: it holds a null character"),
            ("\ud800.mp4", "cannot be a path: it holds half of a surrogate pair, which stands for no character"),
            ("x" * 5000, "is longer than a path can be"),
            ("é" * 2048, "is longer than a path can be"),
            ("a/" * 5_000_000, "is longer than a path can be"),
            ("../" * 5_000_000, "is longer than a path can be"),
        ],
        ids=["NUL", "half of a surrogate pair", "long name", "long in bytes", "ten megabytes", "ten megabytes upwards"],
    )
    def test_refused(self, rules: MediaLimits, path: str, why: str) -> None:
        began = time.monotonic()
        with pytest.raises(MediaError) as caught:
            check_file(path, rules)
        assert str(caught.value) == f"FILE_NOT_FOUND: {display_path(path)} {why}"
        assert lies_inside(path, rules)
        assert time.monotonic() - began < 30

    @given(
        st.text(st.characters(), max_size=30) | st.sampled_from(["~", "..", "/", "/proc/self/mem", "/dev/stdin", "%d", "a#t=1,2"])
    )
    def test_whatever_the_path_it_is_refused_or_read(self, path: str) -> None:
        for rules in (MediaLimits(), MediaLimits(root="/nowhere")):
            with suppress(MediaError):
                check_file(path, rules)


PSEUDO = [
    "/proc/kmsg", "/proc/self/mem", "/proc/self/environ", "/proc/self/fd/0", "/proc/kcore", "/proc/self", "/dev/stdin",
    "/dev/fd/0", "/dev/zero", "/dev/random", "/dev/tty", "/sys/power/state", "/sys/kernel/notes",
    "/sys/kernel/mm/transparent_hugepage/enabled",
]  # fmt: skip


@pytest.mark.parametrize("path", PSEUDO)
def test_files_that_are_none_neither_hang_nor_are_media(path: str) -> None:
    began = time.monotonic()
    for door in DOORS[2:]:
        with pytest.raises(MediaError):
            door(path)
    with suppress(MediaError):
        content_digest(path)
    assert time.monotonic() - began < 60


def test_a_file_that_grows_for_ever_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "growing.mp4"
    path.write_bytes(b"x" * 1000)

    class Hash:
        """Each time that something is read, more is there."""

        def update(self, data: bytes) -> None:
            with path.open("ab") as file:
                file.write(data)

    monkeypatch.setattr(digest.hashlib, "blake2b", lambda **_: Hash())
    with pytest.raises(MediaError) as caught:
        content_digest(str(path))
    assert (str(caught.value), caught.value.retryable) == (f"MEDIA_CHANGED: {path} was changed while it was read", True)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_system_that_has_run_out_of_something_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = write_clip(tmp_path / "clip.mp4", 3)

    def out_of_it(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", out_of_it)
    for door in DOORS:
        with pytest.raises(EnvironmentFailure) as caught:
            door(str(path))
        assert str(caught.value) == f"{path} cannot be opened now ({os.strerror(number)}); running again resumes"


@pytest.mark.parametrize("where", ["/", "."])
def test_a_root_that_is_the_whole_disk_and_one_with_folders_inside(tmp_path: Path, where: str) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    path = write_clip(tmp_path / "a" / "b" / "clip.mp4", 3)
    root = where if where == "/" else os.path.realpath(tmp_path)
    assert probe(str(path), MediaLimits(root=root)).frames == 3


def test_a_folder_that_is_turned_into_a_link_after_the_first_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look goes from the root downwards, and follows no link: here the folder changes between its two halves."""
    root, outside, plain = tmp_path / "root", tmp_path / "outside", os.stat
    (root / "inner").mkdir(parents=True)
    outside.mkdir()
    for folder in (root / "inner", outside):
        write_clip(folder / "clip.mp4", 3)

    def turned(path: object, *given: object, **named: object) -> os.stat_result:
        if path == str(root / "inner" / "clip.mp4") and not (root / "inner").is_symlink():
            (root / "inner").rename(root / "before")
            (root / "inner").symlink_to(outside)
        return plain(path, *given, **named)

    monkeypatch.setattr(os, "stat", turned)
    monkeypatch.setattr(files.os.path, "realpath", lambda path: path)  # the attacker is quick: it saw the folder both times
    with pytest.raises(MediaError, match=r"^OUTSIDE_MEDIA_ROOT: .*/root/inner/clip\.mp4 lies outside of media_root"):
        check_file(str(root / "inner" / "clip.mp4"), MediaLimits(root=str(root)))
