"""Shards as the documentation starts them, and shards that are killed: what is merged is what one run leaves."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")

SBATCH = '''
"""Stands in for Slurm's sbatch: runs the tasks of an array, some at once, and what depends on them when they are done."""

import os, pathlib, re, shlex, subprocess, sys

jobs = pathlib.Path(os.environ["JOBS"])
options = [each for each in sys.argv[1:] if each.startswith("--")]
if "--wrap" in sys.argv:
    (after,) = re.findall(r"--dependency=afterok:(\\d+)", " ".join(options))
    if (jobs / after).read_text() != "0":
        sys.exit("DependencyNeverSatisfied")
    sys.exit(subprocess.call(sys.argv[-1], shell=True))
script = pathlib.Path(sys.argv[-1])
array = next((each for each in options if "array" in each), "") or re.search(r"#SBATCH (--array=.*)", script.read_text())[1]
first, last = map(int, re.fullmatch(r"--array=(\\d+)-(\\d+)", array).groups())
tasks = [
    subprocess.Popen(["bash", script], env={**os.environ, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": str(last)})
    for task in range(first, last + 1)
]
(jobs / "4711").write_text(str(max(task.wait() for task in tasks)))
print(4711)
'''


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [body for name, body in found if name == language]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working directory with a recipe that needs no model, `juicecap` and `sbatch` on the path, and what one run leaves."""
    texts = [{"n": number, "text": f"  text {number}  " * (number % 4)} for number in range(30)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    recipe = {
        "dataset_path": "data.jsonl",
        "export_path": "out/texts.jsonl",
        "process": [{"whitespace_normalization_mapper": {}}, {"text_length_filter": {"min_len": 3}}],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (tmp_path / "bin").mkdir()
    program(tmp_path / "bin" / "juicecap", f'#!/bin/sh\nexec {sys.executable} -m juicecap "$@"\n')
    program(tmp_path / "bin" / "sbatch", f"#!{sys.executable}\n{SBATCH}")
    shell(tmp_path, "juicecap run recipe.yaml --set export_path=whole.jsonl")
    return tmp_path


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def shell(place: Path, commands: str, **variables: str) -> str:
    """What the commands print."""
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "JOBS": str(place), **variables}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=place, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_merged(place: Path, count: int) -> None:
    shards = sorted(each.name for each in (place / "out" / "texts.run" / "shards").glob("*-of-*"))
    assert shards == [f"{number:02}-of-{count:02}" for number in range(1, count + 1)]
    assert (place / "out" / "texts.jsonl").read_bytes() == (place / "whole.jsonl").read_bytes()
    assert len((place / "whole.jsonl").read_text().splitlines()) == 22


@pytest.mark.process
@pytest.mark.slow
class TestStarted:
    def test_as_an_array_of_slurm(self, place: Path) -> None:
        script, submission = (each for each in blocks("bash") if "sbatch" in each or "#SBATCH" in each)
        (place / "shards.sh").write_text(script.replace("--array=1-64", "--array=1-4"))
        printed = shell(place, submission, SHARDS="4")
        assert "output    out/texts.jsonl" in printed.splitlines()
        check_merged(place, 4)

    def test_as_an_array_that_counts_from_0(self, place: Path) -> None:
        (part,) = set(re.findall(r'--shard "\$\(\(SLURM_ARRAY_TASK_ID \+ 1\)\)/64"', PAGE))
        command = f"juicecap run recipe.yaml {part.replace('64', '3')} --quiet"
        (place / "shards.sh").write_text(f"#SBATCH --array=0-2\nset -e\n{command}\n")
        shell(place, "sbatch --parsable shards.sh\njuicecap merge recipe.yaml")
        check_merged(place, 3)

    def test_by_xargs(self, place: Path) -> None:
        (commands,) = (each for each in blocks("bash") if "xargs" in each)
        shell(place, commands)
        check_merged(place, 8)

    def test_in_four_terminals(self, place: Path) -> None:
        (commands,) = (each for each in blocks("") if "--shard 4/4" in each)
        *shards, merge = commands.splitlines()
        shell(
            place,
            "".join(f"{each} & pids+=($!)\n" for each in shards) + f'for pid in "${{pids[@]}}"; do wait $pid; done\n{merge}',
        )
        check_merged(place, 4)


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.process
def test_shards_that_are_killed_lose_double_change_and_ask_nothing_again() -> None:
    command = [sys.executable, "benchmarks/shard_fuzz.py", "--kills", "12", "--shards", "4", "--merge-share", "0.2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert {name: figures[name] for name in ("lost", "duplicated", "identical", "reasked", "broken")} == {
        "lost": 0,
        "duplicated": 0,
        "identical": 1.0,
        "reasked": 0,
        "broken": 0,
    }, done.stdout
    assert figures["kills"] >= 12
