"""Runs that are disturbed at random moments: a short version of `benchmarks/kill_fuzz.py`, on real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.process]

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("by", "kills", "options"),
    [("KILL", 20, ["--hf-share", "0.05"]), ("TERM", 3, []), ("INT", 3, []), ("FULL", 4, [])],
    ids=["killed", "SIGTERM", "Ctrl-C", "a full disk"],
)
def test_nothing_is_lost_doubled_changed_or_asked_again(by: str, kills: int, options: list[str]) -> None:
    command = [sys.executable, "benchmarks/kill_fuzz.py", "--by", by, "--kills", str(kills), "--hf-share", "0", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {name: figures[name] for name in ("kills", "lost", "duplicated", "identical", "reasked", "broken")} == {
        "kills": kills,
        "lost": 0,
        "duplicated": 0,
        "identical": 1.0,
        "reasked": 0,
        "broken": 0,
    }, done.stdout
