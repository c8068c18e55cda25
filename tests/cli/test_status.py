"""`juicecap status`: how a run stands, from another terminal or afterwards."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from juicecap.cli import main
from juicecap.report.status import status_text
from juicecap.runner import RunStatus, StepStatus
from juicecap.runner.reporting.status import write_status
from juicecap.runner.run_folder.lock import locked

ROOT = Path(__file__).parent.parent.parent
NOW = datetime.fromisoformat("2026-01-02T03:05:10+00:00")


@pytest.fixture
def status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStatus:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out.run").mkdir()
    (tmp_path / "out.run" / ".lock").touch()
    done = StepStatus(
        op="first_filter", number=1, state="done", samples=10, done=10, filtered=2, seconds=1, samples_per_second=10
    )
    step = StepStatus(
        op="video_captioning_from_vlm_mapper", number=2, state="running", samples=8, done=4, rejected=1, in_flight=3,
        samples_per_second=0.5, captions_per_second=1, prompt_tokens_per_second=150, completion_tokens_per_second=20,
        engine_busy=0.9, eta_seconds=8,
    )  # fmt: skip
    return RunStatus(
        state="running", recipe=f"{tmp_path}/recipe.yaml", export_path=f"{tmp_path}/out.jsonl", work_dir=f"{tmp_path}/out.run",
        working_directory=str(tmp_path), pid=4711, host="here", started="2026-01-02T03:04:05+00:00",
        updated="2026-01-02T03:05:05+00:00", seconds=60.0, steps=(done, step), step_count=4, samples=10,
    )  # fmt: skip


def test_a_run_at_work(status: RunStatus) -> None:
    assert status_text(status, 80, NOW).splitlines() == [
        "run       out.run: at work for 0:01:00, process 4711 on here",
        "recipe    recipe.yaml",
        "in        10 samples",
        "[1/4] first_filter",
        "    10 samples  0:00:01  10.0 samples/s  2 filtered",
        "[2/4] video_captioning_from_vlm_mapper",
        "    4/8 samples  0.5 samples/s  ETA 0:00:08  1.0 captions/s  150 tokens/s in",
        "    20.0 tokens/s out  engine 90% busy  3 in flight  1 rejected",
        "2 ops not begun yet",
    ]


@pytest.mark.parametrize(
    ("change", "first", "last"),
    [
        (
            {"state": "killed"},
            "killed 0:00:05 ago, after 0:01:00: process 4711 on here is gone and has not said why",
            "What is finished is kept; the same command again goes on.",
        ),
        (
            {"state": "killed", "fresh": True},
            "killed 0:00:05 ago, after 0:01:00: process 4711 on here is gone and has not said why",
            "What is finished is kept; the same command without --fresh goes on.",
        ),
        (
            {"state": "interrupted", "exit_code": 130, "working_directory": "/elsewhere"},
            "interrupted 0:00:05 ago, after 0:01:00, with exit code 130",
            "What is finished is kept; the same command again goes on, from /elsewhere.",
        ),
        (
            {"state": "failed", "exit_code": 4, "message": "the disk is full\x1b[2J"},
            "failed 0:00:05 ago, after 0:01:00, with exit code 4",
            "What is finished is kept; the same command again goes on.",
        ),
        ({"state": "done", "exit_code": 0, "exported": 7}, "done 0:00:05 ago, after 0:01:00", "output    out.jsonl"),
        (
            {"state": "loading", "steps": (), "samples": None},
            "reading the dataset for 0:01:00, process 4711 on here",
            "4 ops not begun yet",
        ),
    ],
)
def test_other_states(status: RunStatus, change: dict, first: str, last: str) -> None:
    lines = status_text(replace(status, **change), 80, NOW).splitlines()
    assert (lines[0], lines[-1]) == (f"run       out.run: {first}", last)
    assert ("the disk is full\ufffd[2J" in lines) == ("message" in change)


@pytest.mark.parametrize("columns", [20, 40])
def test_narrow_terminals(status: RunStatus, columns: int) -> None:
    ops = [line for line in status_text(status, columns, NOW).splitlines() if line.startswith(("[", " "))]
    assert max(map(len, ops)) <= columns
    assert "1 rejected" in " ".join(ops)


def test_a_killed_run_is_told_as_such_and_one_that_is_locked_lives(
    status: RunStatus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_status(status)
    assert main(["status", "out.run"]) == 0
    assert capsys.readouterr().out.startswith("run       out.run: killed ")
    with locked(tmp_path / "out.run"):
        assert main(["status", "out.run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["state"], told["pid"], told["steps"][1]["in_flight"]) == ("running", 4711, 3)


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        (".", ". is not the folder of a run (it has no status.json); did you mean ./out.run?"),
        ("nothing", "there is no folder nothing; give the folder of a run: its work_dir"),
        ("out.run/status.json", "out.run/status.json is a file; give the folder of a run"),
    ],
)
def test_what_is_no_run_folder(status: RunStatus, folder: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(status)
    assert main(["status", folder]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(sentence)
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize("options", [["--json"], []])
def test_watching_ends_with_the_run(status: RunStatus, tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "juicecap", "status", str(tmp_path / "out.run"), "--watch", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    write_status(status)
    with locked(tmp_path / "out.run"):
        watcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        assert watcher.stdout
        first = watcher.stdout.readline()
        time.sleep(1.5)
        assert watcher.poll() is None
        write_status(replace(status, state="done", exit_code=3, exported=7))
        rest, said = watcher.communicate(timeout=30)
    assert (watcher.returncode, said) == (0, "")
    if options:
        told = [json.loads(line) for line in [first, *rest.splitlines()]]
        assert [told[0]["state"], told[-1]["state"], told[-1]["exit_code"]] == ["running", "done", 3]
        assert len(told) >= 2
    else:
        assert "at work" in first
        assert next(line for line in rest.splitlines() if line.startswith("run ")).endswith("with exit code 3")


def test_a_reader_who_leaves(status: RunStatus, tmp_path: Path) -> None:
    write_status(status)
    line = f"set -o pipefail; {sys.executable} -m juicecap status {tmp_path}/out.run | true"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202etxt.exe\u2066\u2028[red]x[/red]\r\ud800"
"""ANSI escapes, 8-bit controls, another direction of writing, another end of line, markup of rich, half a surrogate pair."""

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def told_of(change: dict, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code and what is printed for a status file of which something is changed; `steps.NAME` is of its first step."""
    told = json.loads(Path("out.run/status.json").read_text())
    for name, value in change.items():
        place, _, part = name.partition(".")
        if part:
            told[place][0][part] = value
        else:
            told[name] = value
    Path("out.run/status.json").write_text(json.dumps(told))
    code = main(["status", "out.run"])
    return (code, *capsys.readouterr())


@pytest.mark.parametrize(
    "name", ["recipe", "export_path", "work_dir", "working_directory", "host", "started", "message", "steps.op"]
)
@pytest.mark.parametrize(
    "value", [HOSTILE, "x" * 1_000_000, "", "\0", "/" * 5000], ids=["obeyed", "long", "empty", "null", "deep"]
)
def test_a_hostile_text_shows_itself_and_nothing_more(
    status: RunStatus, name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_status(replace(status, state="killed", message="a reason", exported=1))
    code, out, err = told_of({name: value}, capsys)
    assert (code, err) == (0, "")
    assert OBEYED.search(out) is None
    assert len(out) < 10_000
    if value == HOSTILE and name != "started":
        assert "[red]x[/red]" in out  # as it is written, not in red


@pytest.mark.parametrize(
    "change",
    [
        {name: value}
        for name in ("seconds", "pid", "step_count", "samples", "exit_code", "steps.seconds", "steps.done", "steps.eta_seconds")
        for value in (math.nan, math.inf, -math.inf, 1e300, 10**30, -1, True, "1", [], {})
    ]
    + [{"steps.state": "idle"}, {"steps.state": []}, {"state": {}}, {"steps": 7}, {"steps": [[]]}, {"updated": "2026-01-02"}],
    ids=repr,
)
def test_numbers_that_no_run_has_and_wrong_types_are_a_sentence(
    status: RunStatus, change: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    write_status(replace(status, state="done", exit_code=0))
    code, out, err = told_of(change, capsys)
    assert (code, out) == (2, "")
    assert err == "out.run/status.json is not what a run writes; is out.run the folder of a run?\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[" * 100_000, "is not what a run writes"),
        ('{"steps":' * 100_000, "is not what a run writes"),
        ("9" * 5000, "is not what a run writes"),
        ("{" + '"a":1,' * 1_000_000, "cannot be read: it has more than 4,194,304 bytes"),
        ("\udcff", "is not what a run writes"),
    ],
    ids=["list", "object", "number", "large", "bytes"],
)
@pytest.mark.parametrize("options", [[], ["--json"], ["--watch"]])
def test_a_deep_or_huge_status_is_a_sentence(
    status: RunStatus, content: str, sentence: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out.run/status.json").write_text(content, "utf-8", "surrogateescape")
    assert main(["status", "out.run", *options]) == 2
    assert sentence in capsys.readouterr().err


def test_so_many_ops_that_no_recipe_has_them(status: RunStatus, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(replace(status, steps=status.steps[:1] * 5001))
    assert main(["status", "out.run"]) == 2
    assert "is not what a run writes" in capsys.readouterr().err


def test_a_working_directory_that_is_gone(status: RunStatus, tmp_path: Path) -> None:
    write_status(replace(status, state="interrupted"))
    (tmp_path / "gone").mkdir()
    line = f"cd {tmp_path}/gone && rmdir ../gone && {sys.executable} -m juicecap status {tmp_path}/out.run"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"run       {tmp_path}/out.run: interrupted" in done.stdout


def test_a_name_in_a_hint_is_shown_as_it_is(status: RunStatus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out.run").rename(tmp_path / "\x1b[2Jout.run")
    write_status(replace(status, work_dir=f"{tmp_path}/\x1b[2Jout.run"))
    assert main(["status", "."]) == 2
    assert capsys.readouterr().err.endswith("did you mean ./\ufffd[2Jout.run?\n")
