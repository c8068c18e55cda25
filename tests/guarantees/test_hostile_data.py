"""Datasets, servers' answers and model folders that are changed at random: a short version of `benchmarks/hostile_data.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.process]

ROOT = Path(__file__).parents[2]


def test_nothing_crashes_hangs_or_escapes() -> None:
    command = [sys.executable, "benchmarks/hostile_data.py", "--cases", "20"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    faults = {name: figures[name] for name in ("cases", "crashed", "hung", "exit_70", "escaped")}
    assert faults == {"cases": 20, "crashed": 0, "hung": 0, "exit_70": 0, "escaped": 0}, done.stdout
