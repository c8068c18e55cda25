"""An output counts as a run's own only as that run wrote it: nobody else's is replaced without being asked for."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from killed import KILLED

from juicecap.errors import DataError, EnvironmentFailure, JuicecapError, UsageError

pytestmark = pytest.mark.process

REFUSED = "exists and was not written by this run; give another path, or --overwrite to replace it"

EDITED = "was edited( or replaced)? since juicecap wrote it: "


def test_a_run_that_wrote_nothing_owns_nothing(texts) -> None:
    texts.fails({"text 003": ("ODD", False)})
    with pytest.raises(JuicecapError, match="no luck with text 003"):
        texts.run(on_error="stop")
    texts.output.write_text("precious\n")
    texts.fails({})
    with pytest.raises(UsageError, match=REFUSED):
        texts.run(on_error="stop")
    assert texts.output.read_text() == "precious\n"


def test_a_run_that_was_to_overwrite_and_failed_owns_nothing(texts) -> None:
    texts.output.parent.mkdir()
    texts.output.write_text("precious\n")
    texts.fails({"text 003": ("ODD", False)})
    with pytest.raises(JuicecapError, match="no luck with text 003"):
        texts.run(on_error="stop", overwrite=True)
    texts.fails({})
    with pytest.raises(UsageError, match=REFUSED):
        texts.run(on_error="stop")
    assert texts.output.read_text() == "precious\n"


def test_an_output_that_another_run_replaced_is_that_runs(texts) -> None:
    other = str(texts.folder / "other.run")
    texts.run()
    texts.process = [{"text_length_filter": {"min_len": 1}}]
    texts.run(work_dir=other, overwrite=True)
    assert texts.out() == texts.texts
    texts.process = [{"trouble_mapper": {}}]
    with pytest.raises(UsageError, match=EDITED):
        texts.run()
    assert texts.out() == texts.texts
    texts.run(work_dir=other)
    assert texts.out() == [f"{text}!" for text in texts.texts]


@pytest.mark.parametrize("shard_size", [0, 200], ids=["file", "shards"])
@pytest.mark.parametrize("how", ["written over", "replaced", "replaced under its time", "lengthened under its time"])
def test_an_output_that_was_edited_is_left_as_it_is(texts, shard_size: int, how: str) -> None:
    output = texts.run(export_shard_size=shard_size).export_path
    file = max(output.glob("*.jsonl")) if shard_size else output
    time.sleep(0.02)  # the clock of a file system ticks slowly
    status = file.stat()
    edited = file.read_bytes().replace(b"text", b"best") + (b"{}\n" if "lengthened" in how else b"")
    if "replaced" in how:
        file.with_suffix(".new").write_bytes(edited)
        file.with_suffix(".new").replace(file)
    else:
        file.write_bytes(edited)
    if "time" in how:
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(UsageError, match=EDITED):
        texts.run(export_shard_size=shard_size)
    assert file.read_bytes() == edited
    texts.run(export_shard_size=shard_size, overwrite=True)
    assert b"best" not in file.read_bytes()
    texts.run(export_shard_size=shard_size)


def test_shards_of_which_one_is_gone_are_left_as_they_are(texts) -> None:
    first, *others = sorted(texts.run(export_shard_size=200).export_path.glob("*.jsonl"))
    first.unlink()
    with pytest.raises(UsageError, match=EDITED):
        texts.run(export_shard_size=200)
    assert [not first.exists(), *(other.exists() for other in others)] == [True] * (len(others) + 1)


@pytest.mark.parametrize("after", [False, True], ids=["before it has its name", "after it has its name"])
@pytest.mark.parametrize("there", [False, True], ids=["the first output", "a later output"])
@pytest.mark.parametrize("shard_size", [0, 200], ids=["file", "shards"])
def test_a_run_that_is_killed_around_the_rename_knows_its_output(texts, shard_size: int, there: bool, after: bool) -> None:
    output = texts.output.parent / "texts" if shard_size else texts.output
    operators = texts.folder / "operators.py"
    sound = operators.read_text()
    if there:
        texts.run(export_shard_size=shard_size)
        texts.write(["another", "and another"])
    rename = "pathlib.Path.replace"
    if shard_size:
        rename = "atomic._exchange" if there else "pathlib.Path.rename"
        sound = sound.replace("import json", "from juicecap.data.writing import atomic\nimport json")
    operators.write_text(sound + KILLED.format(rename=rename, name=output.name, after=after))
    killed = subprocess.run(texts.command(export_shard_size=shard_size), capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert output.exists() is (there or after)
    operators.write_text(sound)
    texts.run(export_shard_size=shard_size)
    files = sorted(output.glob("*.jsonl")) if shard_size else [output]
    assert [json.loads(line)["text"] for file in files for line in file.read_text().splitlines()] == [
        f"{text}!" for text in texts.texts
    ]
    assert texts.left() == []
    texts.output.parent.joinpath("foreign").write_text("precious\n")
    if not shard_size:
        texts.output.parent.joinpath("foreign").replace(output)
        with pytest.raises(UsageError, match=EDITED):
            texts.run()


def test_an_exchange_that_was_cut_short_gives_back_an_output_that_is_known(texts) -> None:
    """Where two folders change places in two steps, a kill between them leaves none under the name."""
    output = texts.run(export_shard_size=200).export_path
    output.rename(output.parent / ".texts.juicecap-aside")
    texts.write(["another"])
    texts.run(export_shard_size=200)
    (shard,) = output.glob("*.jsonl")
    assert shard.read_text() == '{"n": 0, "text": "another!"}\n'
    assert texts.left() == []


def test_an_output_that_cannot_be_noted_is_not_written(texts, monkeypatch: pytest.MonkeyPatch) -> None:
    texts.run()
    before = texts.output.read_bytes()
    texts.write(["another"])
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "exports.json":
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EnvironmentFailure, match=r"exports\.json cannot be written: no space left"):
        texts.run()
    assert texts.output.read_bytes() == before
    monkeypatch.undo()
    texts.run()
    assert texts.out() == ["another!"]


def test_an_output_behind_a_link_is_known_by_what_is_there(texts) -> None:
    texts.output.parent.mkdir()
    real, other = texts.folder / "real.jsonl", texts.folder / "precious.jsonl"
    texts.output.symlink_to(real)
    texts.run()
    texts.run()
    assert real.read_text().count("!") == 10
    other.write_text("precious\n")
    texts.output.unlink()
    texts.output.symlink_to(other)
    with pytest.raises(UsageError, match=EDITED):
        texts.run()
    assert other.read_text() == "precious\n"


@pytest.mark.parametrize("content", [b"", b"\xff", b"[1]", b'{"a": 1}', b'["/a"]'])
def test_a_damaged_note_owns_nothing_and_hinders_nothing(texts, content: bytes) -> None:
    texts.run()
    before = texts.output.read_bytes()
    (texts.work_dir / "exports.json").write_bytes(content)
    with pytest.raises(UsageError, match=REFUSED):
        texts.run()
    assert texts.output.read_bytes() == before
    texts.run(overwrite=True)
    texts.run()


def test_a_refusal_leaves_no_folder_behind(texts) -> None:
    texts.output.parent.mkdir()
    texts.output.write_text("precious\n")
    with pytest.raises(UsageError, match=REFUSED):
        texts.run()
    assert sorted(os.listdir(texts.output.parent)) == ["texts.jsonl"]


def test_an_output_in_shards_with_something_else_in_it_is_left_alone_as_ever(texts) -> None:
    output = texts.run(export_shard_size=200).export_path
    (output / "notes.txt").write_text("precious")
    with pytest.raises(DataError, match=r"holds notes\.txt, which is no part of an export in shards"):
        texts.run(export_shard_size=200)
