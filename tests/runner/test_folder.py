"""The run folder: one run at a time, what killed runs leave, full disks, and being asked to end."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from waiting import until

from juicecap.errors import DataError, EnvironmentFailure, UsageError
from juicecap.runner.reporting.status import StepStatus
from juicecap.runner.run_folder.folder import RunFolder
from juicecap.runner.run_folder.lock import locked

pytestmark = pytest.mark.process

HOLD = """
import sys, time
from pathlib import Path
from juicecap.runner.run_folder.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def small_disk(disk_of: Callable[[str], Path]) -> Path:
    """A file system of one megabyte."""
    return disk_of("1m")


def started(texts, **keys: object) -> subprocess.Popen[str]:
    """A run in a process of its own that has begun with its first sample."""
    run = subprocess.Popen(texts.command(**keys), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until((texts.folder / "begun").exists, run)
    return run


class TestOneRunAtATime:
    def test_the_second_is_told_who_is_at_work(self, texts) -> None:
        texts.process = [{"slow_mapper": {}}]
        first = started(texts)
        with pytest.raises(EnvironmentFailure) as told:
            texts.run()
        first.kill()
        first.communicate()
        assert re.fullmatch(
            rf"{texts.work_dir} is in use by another run \(process {first.pid} on {re.escape(socket.gethostname())}, since "
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00\)\. Wait for it to end, or set work_dir to another folder\.",
            str(told.value),
        )

    def test_a_killed_run_holds_nothing(self, tmp_path: Path) -> None:
        holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(EnvironmentFailure, match=f"process {holder.pid}"), locked(tmp_path):
            pass
        holder.kill()
        holder.communicate()
        with locked(tmp_path):
            assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()

    def test_two_in_one_process_are_two(self, tmp_path: Path) -> None:
        with locked(tmp_path), pytest.raises(EnvironmentFailure, match="in use"), locked(tmp_path):
            pass
        with locked(tmp_path):
            pass

    def test_a_file_system_without_locks_is_said_and_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
    ) -> None:
        def unsupported(*_: object) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr("fcntl.flock", unsupported)
        with locked(tmp_path):
            pass
        assert said == [f"the file system of {tmp_path} has no locks: take care that no two runs use it at once"]


class TestKilled:
    def test_what_it_left_is_taken_away_and_the_next_run_goes_on(self, texts) -> None:
        texts.process = [{"trouble_mapper": {}}, {"slow_mapper": {}}]
        run = started(texts)
        assert texts.left()
        run.kill()
        run.communicate()
        assert texts.left()
        texts.process[1] = {"text_length_filter": {"min_len": 1}}
        assert texts.asked() == texts.texts
        texts.run()
        assert texts.left() == []
        assert texts.asked() == []
        assert texts.out() == [f"{text}!" for text in texts.texts]

    def test_unfinished_exports_of_this_run_go_and_those_of_others_stay(self, texts) -> None:
        texts.run()
        folder = RunFolder(texts.work_dir)
        own = texts.output.parent / f".juicecap-{folder.owner}-0123.tmp"
        own_shards = texts.output.parent / f".juicecap-{folder.owner}-4567.tmp"
        other = texts.output.parent / ".juicecap-0123456789abcdef-0123.tmp"
        table = texts.work_dir / "steps" / ".juicecap--89ab.tmp"
        for file in (own, other, table):
            file.write_text("half")
        own_shards.mkdir()
        (own_shards / "texts-00-of-02.jsonl").write_text("half")
        texts.run()
        assert [path.exists() for path in (own, own_shards, table, other)] == [False, False, False, True]

    def test_a_step_counts_only_once_it_is_on_disk(self, texts, monkeypatch: pytest.MonkeyPatch) -> None:
        real, synced = os.fsync, []

        def spy(handle: int) -> None:
            synced.append(os.readlink(f"/proc/self/fd/{handle}"))
            real(handle)

        monkeypatch.setattr(os, "fsync", spy)
        texts.run()
        place = synced.index(str(texts.work_dir / "unfinished" / "01-trouble_mapper.arrow"))
        assert synced[place + 1] == str(texts.work_dir / "steps")


class TestFullDisk:
    def test_an_export_that_does_not_fit_leaves_the_old_one(self, texts, small_disk: Path) -> None:
        texts.output = small_disk / "texts.jsonl"
        texts.run(work_dir=str(texts.folder / "run"))
        before = texts.output.read_bytes()
        texts.write([f"{number} " + "x" * 2000 for number in range(1000)])
        with pytest.raises(EnvironmentFailure, match=r"texts\.jsonl cannot be written: no space left\. Free some space and run"):
            texts.run(work_dir=str(texts.folder / "run"))
        assert texts.output.read_bytes() == before
        assert os.listdir(small_disk) == ["texts.jsonl"]

    @pytest.mark.slow
    def test_a_step_that_does_not_fit_is_a_sentence_with_code_4_and_running_again_goes_on(self, texts, small_disk: Path) -> None:
        texts.write([f"{number} " + "x" * 2000 for number in range(200)])
        texts.process = [{"trouble_mapper": {}}, {"trouble_mapper": {}}]
        command = texts.command(work_dir=str(small_disk / "run"))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 4
        assert "cannot be written: no space left. Free some space and run again." in done.stderr
        assert "Traceback" not in done.stderr
        assert not texts.output.exists()
        (texts.folder / "asked.txt").unlink()
        subprocess.run(["mount", "-o", "remount,size=20m", small_disk], check=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("done before")) == (0, 1)
        assert texts.out() == [f"{text}!!" for text in texts.texts]

    def test_no_space_for_the_folder_itself(self, texts, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "mkdir", full)
        with pytest.raises(EnvironmentFailure, match="no space left"):
            texts.run()

    def test_a_log_that_cannot_be_written_any_more_ends_nothing(
        self, texts, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("juicecap.runner.run_folder.log.open_plain", lambda *_: os.open("/dev/full", os.O_WRONLY))
        texts.fails({"text 001": ("ODD", False)})
        assert texts.run(op_fusion=True).exported == 9
        assert "Traceback" not in capfd.readouterr().err


class TestOutput:
    def test_a_read_only_folder(self, texts, small_disk: Path) -> None:
        texts.output = small_disk / "texts.jsonl"
        texts.run(work_dir=str(texts.folder / "run"))
        before = texts.output.read_bytes()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        texts.write(["another"])
        with pytest.raises(DataError, match=r"texts\.jsonl cannot be written: Read-only file system\. Choose another path"):
            texts.run(work_dir=str(texts.folder / "run"))
        assert texts.output.read_bytes() == before

    def test_an_output_that_somebody_writes_meanwhile_is_left_as_it_is(self, texts, listener) -> None:
        def ended(step: StepStatus) -> None:
            del step
            texts.output.write_text("precious\n")

        listener.ended = ended
        with pytest.raises(UsageError, match="written by somebody else while this run was at work, so it is left as it is"):
            texts.run(listener)
        assert texts.output.read_text() == "precious\n"
        texts.asked()
        texts.run(listener, overwrite=True)
        assert texts.asked() == []
        assert texts.out() == [f"{text}!" for text in texts.texts]

    def test_shards_of_another_run_are_refused_and_others_files_never_go(self, texts) -> None:
        result = texts.run(export_shard_size=200)
        assert result.export_path == texts.output.parent / "texts"
        assert texts.manifest()["export_path"] == str(result.export_path)
        shards = sorted(result.export_path.glob("*.jsonl"))
        assert [json.loads(line)["n"] for shard in shards for line in shard.read_text().splitlines()] == list(range(10))
        texts.run(export_shard_size=200)
        with pytest.raises(UsageError, match="texts exists and was not written by this run"):
            texts.run(export_shard_size=200, work_dir=str(texts.folder / "other"))
        texts.run(export_shard_size=200, work_dir=str(texts.folder / "other"), overwrite=True)
        (result.export_path / "notes.txt").write_text("precious")
        texts.asked()
        with pytest.raises(DataError, match=r"holds notes\.txt, which is no part of an export in shards"):
            texts.run(export_shard_size=200, overwrite=True, use_cache=False)
        assert texts.asked() == []
        assert (result.export_path / "notes.txt").read_text() == "precious"


class TestAskedToEnd:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_run_ends_in_good_order_and_says_how_to_go_on(self, texts, number: signal.Signals) -> None:
        texts.process = [{"trouble_mapper": {}}, {"slow_mapper": {}}]
        run = started(texts)
        run.send_signal(number)
        _, said = run.communicate(timeout=30)
        assert run.returncode == 130
        assert said.splitlines()[-1] == "interrupted; what is finished is kept, run the same command again to go on"
        assert "Traceback" not in said
        assert texts.left() == []
        assert not texts.output.exists()
        assert texts.asked() == texts.texts
        texts.process[1] = {"text_length_filter": {"min_len": 1}}
        texts.run()
        assert texts.asked() == []
        assert texts.out() == [f"{text}!" for text in texts.texts]

    @pytest.mark.slow
    def test_a_second_time_ends_it_at_once(self, texts) -> None:
        operators = texts.folder / "operators.py"
        wait = "        time.sleep(60)\n"
        stubborn = f"        try:\n    {wait}        finally:\n            (HERE / 'ending').touch()\n    {wait}"
        operators.write_text(operators.read_text().replace(wait, stubborn))
        texts.process = [{"slow_mapper": {}}]
        run = started(texts)
        run.send_signal(signal.SIGINT)
        until((texts.folder / "ending").exists, run)
        assert run.poll() is None
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=10)
        assert run.returncode == 130

    @pytest.mark.skipif(not shutil.which("nohup"), reason="there is no nohup")
    def test_what_it_was_started_to_ignore_stays_ignored(self, texts) -> None:
        texts.process = [{"slow_mapper": {}}]
        run = subprocess.Popen(["nohup", *texts.command()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        until((texts.folder / "begun").exists, run)
        run.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert run.poll() is None
        run.kill()
        run.communicate()
