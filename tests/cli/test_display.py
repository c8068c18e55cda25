"""A run as people see it: on terminals of all sizes, where there is none, as events, and when somebody leaves."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from loguru import logger
from rich.cells import cell_len
from terminal import Terminal

from juicecap.cli import main
from juicecap.cli.progress import display as module
from juicecap.cli.progress.display import LiveProgress, PlainProgress, _Console
from juicecap.cli.progress.events import JsonProgress
from juicecap.cli.progress.warnings import MOST_OF_A_KIND, Warnings
from juicecap.report import words
from juicecap.runner import RunStatus, StepStatus

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent.parent
OPERATORS = '''
import logging, time
from dataclasses import dataclass
from loguru import logger
from juicecap.errors import SampleError
from juicecap.ops.base import Mapper
from juicecap.ops.registry import register

@register
@dataclass(frozen=True, kw_only=True)
class PacedMapper(Mapper):
    """Takes its time, warns each time, and fails on the second sample."""

    seconds: float = 0.1

    def process(self, sample, outcomes):
        time.sleep(self.seconds)
        logger.warning("all the same")
        if sample["text"] == "text 1":
            raise SampleError("ODD", "no luck")
        return [sample]
'''
RUNNING = StepStatus(
    op="video_captioning_from_vlm_mapper",
    number=2,
    state="running",
    samples=4000,
    done=1000,
    rejected=3,
    filtered=2,
    captions=3000,
    replayed=500,
    in_flight=64,
    samples_per_second=12.34,
    captions_per_second=37.0,
    prompt_tokens_per_second=4321.0,
    completion_tokens_per_second=987.6,
    engine_busy=0.974,
    eta_seconds=3661.0,
)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "operators.py").write_text(OPERATORS, encoding="utf-8")
    (tmp_path / "data.jsonl").write_text("".join(f'{{"text": "text {n}"}}\n' for n in range(30)), encoding="utf-8")
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"dataset_path: {tmp_path}/data.jsonl\nexport_path: {tmp_path}/out.jsonl\nmax_rejected: 1.0\n"
        f"custom_operator_paths: {tmp_path}/operators.py\n"
        "process:\n  - paced_mapper:\n  - text_length_filter:\n      min_len: 1\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def status() -> RunStatus:
    now = "2026-01-02T03:04:05.000+00:00"
    paths = dict.fromkeys(("recipe", "export_path", "work_dir", "working_directory", "host"), "/x")
    return RunStatus(state="running", pid=1, started=now, updated=now, seconds=1, steps=(RUNNING,), step_count=2, **paths)


def run(recipe: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "juicecap", "run", str(recipe), *options]


def live(columns: int, lines: int = 24) -> tuple[LiveProgress, io.StringIO]:
    drawn = io.StringIO()
    console = _Console(
        file=drawn, force_terminal=True, width=columns, height=lines, color_system=None, highlight=False, soft_wrap=True
    )
    return LiveProgress(console), drawn


def test_what_is_drawn_of_a_captioning_op(status: RunStatus) -> None:
    progress, _ = live(100)
    progress.started("x", 2, 3, 4000, finished=False)
    assert [line.plain for line in progress._drawn(status)] == [
        "[2/3] video_captioning_from_vlm_mapper",
        "  ━━━━━━━━━━────────────────────────────── 1,000/4,000 samples  12.3 samples/s  ETA 1:01:01".replace(
            "─ 1,000", "─  1,000"
        ),
        "  37.0 captions/s  4,321 tokens/s in  988 tokens/s out  engine 97% busy  64 in flight",
        "  2 filtered  3 rejected  500 replayed",
    ]


@pytest.mark.parametrize("columns", [1, 2, 5, 10, 20, 21, 40, 60, 79, 80, 200])
def test_no_line_is_wider_than_the_terminal(status: RunStatus, columns: int) -> None:
    progress, _ = live(columns, lines=30)
    progress.started("x", 2, 3, 4000, finished=False)
    lines = [line.plain for line in progress._drawn(status)]
    assert max(map(cell_len, lines)) <= columns
    if columns >= 20:
        text = " ".join(lines)
        for piece in [*words.progress(RUNNING), *words.engine(RUNNING), *words.losses(RUNNING)]:
            assert piece in text


def test_what_is_drawn_fits_a_terminal_of_few_lines(status: RunStatus) -> None:
    progress, _ = live(20, lines=4)
    assert len(progress._drawn(status)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("columns", [20, 80])
def test_a_terminal_ends_with_the_ops_and_the_summary(recipe: Path, columns: int) -> None:
    terminal = Terminal(run(recipe), columns)
    terminal.until(lambda: any("/30 samples" in line for line in terminal.shown()))
    assert any(line.startswith("[1/2] paced_mapper") for line in terminal.shown())
    assert any("━" in line or "─" in line for line in terminal.shown())
    assert terminal.end() == 0
    text = terminal.text()
    assert "━" not in text
    assert "─" not in text
    assert text.count("all the same") == 1
    assert text.count("[1/2] paced_mapper") == text.count("[2/2] text_length_f") == 1
    assert "30 samples" in text
    assert "1 rejected" in text
    whole = "".join(text.split())  # the terminal breaks the summary where it must
    assert "paced_mapper[1]:1rejected(ODD1)" in whole
    assert whole.endswith("rejected.jsonl")


def test_a_terminal_that_is_resized_goes_on_in_its_new_width(recipe: Path) -> None:
    terminal = Terminal(run(recipe, "--set", "paced_mapper.seconds=0.2"), 100)
    terminal.until(lambda: any("/30 samples" in line for line in terminal.shown()))
    terminal.resize(30, 10)
    seen = len(terminal.raw)
    terminal.until(lambda: terminal.raw[seen:].count(b"/30 samples") >= 6)
    drawn = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", terminal.raw[seen:]).decode()
    assert max(cell_len(line) for line in re.split(r"[\r\n]+", drawn)[6:-1]) <= 30
    terminal.resize(120, 40)
    assert terminal.end() == 0


def test_ctrl_c_on_a_terminal_takes_the_bar_away_and_says_one_line(recipe: Path) -> None:
    terminal = Terminal(run(recipe, "--set", "paced_mapper.seconds=5"), 80)
    terminal.until(lambda: any("/30 samples" in line for line in terminal.shown()))
    terminal.press(b"\x03")
    assert terminal.end() == 130
    shown = [line for line in terminal.shown() if line]
    assert shown[-1] == "interrupted; what is finished is kept, run the same command again to go on"
    assert not [line for line in shown[:-1] if line.strip("^C") and "paced_mapper" not in line]


@pytest.mark.slow
@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}])
def test_simple_terminals(recipe: Path, environment: dict[str, str]) -> None:
    terminal = Terminal(run(recipe, "--set", "paced_mapper.seconds=0.03"), 80, **environment)
    assert terminal.end() == 0
    assert "[1/2] paced_mapper" in terminal.text()
    assert ("\x1b[" in terminal.raw.decode()) == ("LC_ALL" in environment)
    assert terminal.raw.isascii()


def test_without_a_terminal_there_is_a_line_for_each_op_and_each_warning_once(recipe: Path) -> None:
    done = subprocess.run(run(recipe, "--set", "paced_mapper.seconds=0"), cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    assert lines[0] == "all the same"
    assert re.fullmatch(r"\[1/2\] paced_mapper: 30 samples, 0:00:0\d, [\d,.]+ samples/s, 1 rejected", lines[1])
    assert re.fullmatch(r"\[2/2\] text_length_filter: 29 samples, 0:00:0\d, [\d,.]+ samples/s", lines[2])
    assert (done.returncode, len(lines)) == (0, 3)
    assert done.stdout.startswith("in        30 samples\n")


def test_plain_lines_become_rarer(status: RunStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, written = [0.0], io.StringIO()
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    progress = PlainProgress(_Console(file=written, width=80, soft_wrap=True, highlight=False))
    progress.started("x", 2, 3, 4000, finished=False)
    at = []
    for second in range(20_000):
        clock[0], before = float(second), len(written.getvalue())
        progress.reported(status)
        if len(written.getvalue()) > before:
            at.append(second)
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert (at[0], gaps[0], gaps[-1]) == (10, 10, 300)
    assert gaps == sorted(gaps)
    assert len(at) < 110
    assert written.getvalue().splitlines()[0] == (
        "[2/3] video_captioning_from_vlm_mapper: 1,000/4,000 samples, 12.3 samples/s, ETA 1:01:01, 37.0 captions/s, "
        "4,321 tokens/s in, 988 tokens/s out, engine 97% busy, 64 in flight, 2 filtered, 3 rejected, 500 replayed"
    )


def test_quiet_says_warnings_and_nothing_else(recipe: Path) -> None:
    command = run(recipe, "--quiet", "--set", "paced_mapper.seconds=0")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "all the same\n")


def test_quiet_says_in_a_line_why_the_exit_code_is_not_zero(recipe: Path) -> None:
    command = run(recipe, "--quiet", "--set", "paced_mapper.seconds=0", "--set", "max_rejected=0")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    rejected = recipe.parent / "out.run" / "rejected.jsonl"
    assert (done.returncode, done.stdout, done.stderr) == (
        3,
        "",
        f"all the same\nmore samples were rejected than max_rejected (0) allows: 1 of 30 samples (ODD 1), see {rejected}; "
        "the output is written, the exit code is 3\n",
    )


def events(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_events_tell_the_run_and_the_rest_goes_to_stderr(recipe: Path) -> None:
    done = subprocess.run(run(recipe, "--json"), cwd=ROOT, capture_output=True, text=True, check=False)
    told = events(done.stdout)
    assert all(re.fullmatch(r"[\d-]{10}T[\d:.]{12}\+00:00", each["time"]) for each in told)
    names = [each["event"] for each in told]
    assert [name for name in names if name != "progress"] == [
        "step_started", "step_started", "warning", "step_ended", "step_ended", "end",
    ]  # fmt: skip
    assert 1 <= names.count("progress") <= 5
    begun, ended, end = told[0], told[names.index("step_ended")], told[-1]
    assert (begun["op"], begun["number"], begun["of"], begun["samples"], begun["finished_before"]) == (
        "paced_mapper",
        1,
        2,
        30,
        False,
    )
    assert (ended["op"], ended["done"], ended["rejected"], ended["state"]) == ("paced_mapper", 30, 1, "done")
    assert (end["state"], end["exit_code"], end["samples"], end["exported"]) == ("done", 0, 30, 29)
    assert done.stderr.startswith("in        30 samples\n")


@pytest.mark.parametrize("setting", ["on_error=stop", "max_rejected=0"])
def test_events_end_with_how_a_run_failed(recipe: Path, setting: str) -> None:
    command = run(recipe, "--json", "--set", setting, "--set", "paced_mapper.seconds=0")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    end = events(done.stdout)[-1]
    if setting == "max_rejected=0":
        assert (done.returncode, end["state"], end["exit_code"]) == (3, "done", 3)
    else:
        assert (done.returncode, end["state"], end["exit_code"], end["message"]) == (1, "failed", 1, done.stderr.rstrip("\n"))
        assert "ODD" in end["message"]


def test_events_that_nobody_reads_do_not_end_the_run(recipe: Path) -> None:
    line = " ".join(run(recipe, "--json", "--set", "paced_mapper.seconds=0.05")) + " | head -n 1; exit ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert json.loads(done.stdout)["event"] == "step_started"
    assert len((recipe.parent / "out.jsonl").read_text().splitlines()) == 29


def test_a_million_warnings_are_few_lines() -> None:
    told: list[str] = []
    sink = logger.add(Warnings(told.append), level="WARNING")
    try:
        for number in range(1000):
            logger.warning("the same")
            logger.warning("sample {}", number)
    finally:
        logger.remove(sink)
    assert told == ["the same", *(f"sample {n}" for n in range(MOST_OF_A_KIND)), "more warnings of this kind are in log.jsonl"]


def test_what_a_warning_tells_a_terminal_to_do_is_not_done(capsys: pytest.CaptureFixture[str]) -> None:
    with module.display() as progress:
        progress.line("a\x1b[2Jb \x9b2J [bold]c[/bold]")
    assert capsys.readouterr().err == "a\ufffd[2Jb \ufffd2J [bold]c[/bold]\n"


def test_interrupted_events(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), JsonProgress():
        raise KeyboardInterrupt
    end = json.loads(capsys.readouterr().out)
    assert (end["event"], end["state"], end["exit_code"]) == ("end", "interrupted", 130)


def test_metrics_are_an_option(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = recipe.parent / "run.prom"
    assert main(["run", str(recipe), "--quiet", "--metrics", str(file), "--set", "paced_mapper.seconds=0"]) == 0
    assert f'juicecap_run_exit_code{{run="{recipe.parent}/out.run"}} 0\n' in file.read_text()
    assert main(["run", str(recipe), "--metrics", str(recipe.parent / "no" / "run.prom")]) == 1
    assert f"there is no folder {recipe.parent}/no" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("check", ()), ("cite", ("x",)), ("completion", ("bash",)), ("init", ("x",)), ("ops", ()), ("plan", ()),
        ("preview", ()), ("run", ()), ("schema", ()), ("status", ()),
    ],
)  # fmt: skip
def test_ctrl_c_in_each_verb_is_one_line_and_code_130(
    verb: str, options: tuple[str, ...], recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(_: object) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
        return 0

    monkeypatch.setattr(f"juicecap.cli.verbs.{verb}.main", pressed)
    given = options or ((str(recipe),) if verb in ("check", "plan", "preview", "run", "status") else ())
    assert main([verb, *given]) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("interrupted")
    assert ("run the same command again" in line) == (verb in ("run", "preview"))


def test_a_step_that_is_done_is_told_in_full() -> None:
    done = replace(RUNNING, state="done", done=4000, seconds=100.0, samples_per_second=40.0, eta_seconds=None, in_flight=0)
    assert words.ended(done) == [
        "4,000 samples", "0:01:40", "40.0 samples/s", "37.0 captions/s", "4,321 tokens/s in", "988 tokens/s out",
        "engine 97% busy", "2 filtered", "3 rejected", "500 replayed",
    ]  # fmt: skip
    assert words.ended(replace(done, state="done before", replayed=0)) == ["done before", "2 filtered", "3 rejected"]
