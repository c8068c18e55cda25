"""The last moments of the program, and a disk that is full from the first one on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from juicecap.errors import EnvironmentFailure
from juicecap.runner.run_folder.lock import locked

pytestmark = pytest.mark.process

AT_EXIT = """
import atexit, os, time
def last():
    os.kill(os.getpid(), {number})
    time.sleep(120)
import juicecap.cli
main = juicecap.cli.main
def followed():
    code = main()
    atexit.register(last)
    return code
juicecap.cli.main = followed
"""
FINALIZING = """
import os
class Last:
    def __del__(self, kill=os.kill, pid=os.getpid()):
        kill(pid, {number})
import builtins
builtins.juicecap_last = Last()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", [AT_EXIT, FINALIZING], ids=["while engines are closed", "while the interpreter goes down"])
def test_a_signal_after_all_is_done_changes_no_exit_code(tmp_path: Path, number: signal.Signals, moment: str) -> None:
    start = (
        moment.format(number=int(number))
        + "\nimport sys\nfrom juicecap.cli import entry\nsys.argv = ['juicecap', 'ops']\nentry()\n"
    )
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "video_captioning_from_vlm_mapper" in done.stdout


def test_a_lock_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with (
            pytest.raises(EnvironmentFailure, match=r"\.lock cannot be written: File too large\. Run again"),
            locked(tmp_path),
        ):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with locked(tmp_path):
        assert str(os.getpid()) in (tmp_path / ".lock").read_text()
