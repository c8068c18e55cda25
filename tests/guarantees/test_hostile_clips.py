"""Clips that hang the decoder, crash it or are damaged, among good ones: a short version of `benchmarks/hostile_clips.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.process]

ROOT = Path(__file__).parents[2]


def test_the_others_are_captioned_nothing_leaks_and_the_time_is_bounded() -> None:
    command = [sys.executable, "benchmarks/hostile_clips.py", "--clips", "120", "--decode-seconds", "0.5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    held = {name: figures[name] for name in ("clips", "captioned", "rejected", "leaked")}
    assert held == {"clips": 120, "captioned": 114, "rejected": 6, "leaked": 0}, done.stdout
    assert figures["wall_s"] < figures["bound_s"]
