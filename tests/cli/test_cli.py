"""The command line as a user meets it: output, exit codes, no tracebacks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import until

import juicecap
from juicecap import __version__
from juicecap.cli import VERBS, main
from juicecap.errors import EnvironmentFailure
from juicecap.runner.local import GO_ON_AFTER_FRESH

pytestmark = pytest.mark.process

SLOW = """
import pathlib, threading, time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from juicecap.ops.base import Mapper
from juicecap.ops.registry import register

@register
@dataclass(frozen=True, kw_only=True)
class SlowMapper(Mapper):
    '''Waits for an engine that takes its time.'''

    def process(self, sample, outcomes):
        pathlib.Path(__file__).with_name("begun").touch()
        ThreadPoolExecutor(1).submit(time.sleep, 60).result()
"""
ROOT = Path(__file__).parent.parent.parent
HEAVY = ("torch", "transformers", "vllm", "ray", "datasets", "av", "numpy", "pyarrow")


def command(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "juicecap", *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "data.jsonl").write_text('{"text": "a text that is long enough"}\n{"text": "short"}\n', encoding="utf-8")
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"dataset_path: {tmp_path}/data.jsonl\nexport_path: {tmp_path}/out.jsonl\n"
        "process:\n  - text_length_filter:\n      min_len: 10\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    "arguments", [("--help",), ("ops",), ("ops", "text_length_filter"), ("check", "recipes/video_caption.yaml")]
)
def test_no_heavy_library_is_imported_before_it_is_needed(arguments: tuple[str, ...]) -> None:
    code = f"import sys; from juicecap.cli import main\ntry: main({list(arguments)!r})\nexcept SystemExit: pass\n"
    code += f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_importing_juicecap_imports_nothing_else() -> None:
    code = f"import sys, juicecap, juicecap.ops; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).strip() == "[]"


def test_run_says_what_came_of_it(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(recipe)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "in        2 samples",
        "          text_length_filter[1]: 1 filtered",
        "out       1 sample; 1 filtered, 0 rejected on the way",
    ]
    assert lines[-2:] == [f"output    {recipe.parent}/out.jsonl", f"why       juicecap why {recipe.parent}/out.run"]
    assert json.loads((recipe.parent / "out.jsonl").read_text()) == {"text": "a text that is long enough"}


def test_set_and_limit(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(recipe), "--set", "text_length_filter.min_len=2", "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "in        1 sample"


def test_a_problem_stops_the_run_before_anything_is_written(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text(recipe.read_text().replace("min_len", "min_length"), encoding="utf-8")
    assert main(["run", str(recipe)]) == 1
    error = capsys.readouterr().err
    assert f"{recipe}:5:7: text_length_filter[1] has no parameter 'min_length'" in error
    assert "did you mean 'min_len'?" in error
    assert sorted(path.name for path in recipe.parent.iterdir()) == ["data.jsonl", "recipe.yaml"]


def test_rejections_give_exit_code_3_and_their_file(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recipe.parent / "data.jsonl").write_text('{"text": "a text that is long enough"}\n{"text": 7}\n', encoding="utf-8")
    assert main(["run", str(recipe)]) == 3
    printed = capsys.readouterr().out
    assert f"rejected  {recipe.parent}/out.run/rejected.jsonl" in printed
    assert "more samples were rejected than max_rejected (0.05) allows" in printed
    (line,) = (recipe.parent / "out.run" / "rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["code"] == "BAD_TEXT"


def test_check_says_that_all_is_well(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(recipe)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{recipe}: no problems (1 ops, 2 rows looked at)"


def test_ops_lists_by_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("filters") < printed.index("video_duration_filter") < printed.index("mappers")
    assert main(["ops", "text_length_filter"]) == 0
    assert (
        "  min_len: int >= 0 and <= 2147483647 or null, default 10\n      Fewest characters that pass; null: no limit."
        in capsys.readouterr().out
    )


def test_an_unknown_op_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "text_lenght_filter"]) == 1
    assert capsys.readouterr().err == (
        "there is no op 'text_lenght_filter'; did you mean 'text_length_filter'?  (juicecap ops lists all)\n"
    )


@pytest.mark.parametrize("arguments", [(), ("fly",), ("run",), ("run", "x.yaml", "--limit", "0")])
def test_wrong_usage_has_exit_code_2(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"juicecap {__version__}\n"


@pytest.mark.parametrize("arguments", ["ops", *(f"{verb} recipes/video_caption.yaml" for verb in ("check", "plan"))])
def test_a_closed_pipe_is_no_error(arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    line = f"set -o pipefail; {sys.executable} -m juicecap {arguments} | true"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert (done.returncode, complaints) == (0, [])


@pytest.mark.parametrize(("allowed", "code"), [("1.0", 0), ("0.0", 3)])
@pytest.mark.parametrize("buffered", [True, False])
def test_a_run_goes_on_if_nobody_watches_its_progress(recipe: Path, allowed: str, code: int, buffered: bool) -> None:
    (recipe.parent / "data.jsonl").write_text('{"text": "a text that is long enough"}\n{"text": 7}\n', encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {} if buffered else {"PYTHONUNBUFFERED": "1"}
    line = f"{sys.executable} -m juicecap run {recipe} --set max_rejected={allowed} 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert json.loads((recipe.parent / "out.jsonl").read_text()) == {"text": "a text that is long enough"}


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&- <&-", "> /dev/full", "2> /dev/full"])
@pytest.mark.parametrize(("allowed", "code"), [("1.0", 0), ("0.0", 3)])
def test_a_terminal_that_is_closed_or_full_changes_nothing(recipe: Path, allowed: str, code: int, redirection: str) -> None:
    (recipe.parent / "data.jsonl").write_text('{"text": "a text that is long enough"}\n{"text": 7}\n', encoding="utf-8")
    line = f"{sys.executable} -m juicecap run {recipe} --set max_rejected={allowed} {redirection}"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr + done.stdout) == (code, False)
    assert json.loads((recipe.parent / "out.jsonl").read_text()) == {"text": "a text that is long enough"}
    assert json.loads((recipe.parent / "out.run" / ".lock").read_text())["pid"]


LOST = "the result cannot be printed: No space left on device. Send it to another place, or free some space, and run again.\n"


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    "arguments",
    [
        "check {recipe}", "check {recipe} --json", "check {wrong} --json", "completion bash", "init {new}", "ops",
        "ops text_length_filter", "ops --json", "plan {recipe}", "preview {recipe}", "schema", "status {run}",
        "status {run} --json", "status {run} --watch", "--help", "check --help", "--version",
    ],
)  # fmt: skip
def test_a_result_that_could_not_be_printed_is_no_success(recipe: Path, arguments: str, buffered: bool) -> None:
    folder = recipe.parent
    if "{run}" in arguments:
        assert main(["run", str(recipe), "--quiet"]) == 0
    (folder / "wrong.yaml").write_text("nonsense: 1\n", encoding="utf-8")
    words = arguments.format(recipe=recipe, wrong=folder / "wrong.yaml", new=folder / "new", run=folder / "out.run")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {} if buffered else {"PYTHONUNBUFFERED": "1"}
    line = f"{sys.executable} -m juicecap {words} > /dev/full"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.replace("note: ", "")) == (4, LOST)


def test_problems_that_nobody_reads_are_problems(recipe: Path) -> None:
    recipe.write_text("nonsense: 1\n", encoding="utf-8")
    line = f"set -o pipefail; {sys.executable} -m juicecap check {recipe} --json | true"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


def without_devices(*arguments: str, kept: str = "") -> subprocess.CompletedProcess[str]:
    """A command where /dev is empty, but for what is `kept`: in a place of its own for mounts."""
    keep = f"mknod /dev/{kept} c 1 3 && chmod 666 /dev/{kept}" if kept else "true"
    script = f'mount -t tmpfs none /dev && {keep} && exec "$@"'
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root may have mounts of its own")
    line = ["unshare", "-m", "bash", "-c", script, "bash", sys.executable, "-m", "juicecap", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "kept", "missing"),
    [
        (("run", "{recipe}"), "", "/dev/null"),
        (("preview", "{recipe}"), "", "/dev/null"),
        (("plan", "{recipe}"), "", "/dev/null"),
        (("init", "{new}", "--from", "{data}"), "", "/dev/null"),
        (("run", "{recipe}"), "null", "/dev/urandom"),
    ],
)
def test_a_system_without_devices_is_the_environments_fault(
    recipe: Path, arguments: tuple[str, ...], kept: str, missing: str
) -> None:
    folder = recipe.parent
    words = [each.format(recipe=recipe, new=folder / "new", data=folder / "data.jsonl") for each in arguments]
    before = sorted(os.listdir(folder))
    done = without_devices(*words, kept=kept)
    assert (done.returncode, done.stderr) == (
        4,
        f"there is no {missing} here, without which datasets and torch do not work. Mount a /dev in this container or chroot "
        "and run again.\n",
    )
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize("arguments", [("ops",), ("check", "{recipe}"), ("schema",), ("status", "{run}")])
def test_verbs_that_need_no_device_work_without(recipe: Path, arguments: tuple[str, ...]) -> None:
    assert main(["run", str(recipe), "--quiet"]) == 0
    done = without_devices(*(each.format(recipe=recipe, run=recipe.parent / "out.run") for each in arguments))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_or_a_closed_output_without_devices_is_no_error(recipe: Path) -> None:
    script = f"{sys.executable} -m juicecap ops >&-; {sys.executable} -m juicecap ops | true; exit ${{PIPESTATUS[0]}}"
    line = ["unshare", "-m", "bash", "-c", f"mount -t tmpfs none /dev && {script}"]
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root may have mounts of its own")
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("verb", ["run", "preview"])
def test_a_working_directory_that_is_gone_is_the_environments_fault(recipe: Path, verb: str) -> None:
    (recipe.parent / "gone").mkdir()
    line = f"cd {recipe.parent}/gone && rmdir ../gone && exec {sys.executable} -m juicecap {verb} {recipe}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        "the working directory cannot be used (No such file or directory). Change to another one and run again.\n"
    )
    assert not (recipe.parent / "out.run").exists()


def test_devices_that_are_missing_are_told_to_callers_from_python_too(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("juicecap.data.surroundings.NEEDED", ("/nowhere/null",))
    with pytest.raises(EnvironmentFailure, match="there is no /nowhere/null here"):
        juicecap.run(recipe)
    with pytest.raises(EnvironmentFailure, match="there is no /nowhere/null here"):
        juicecap.load_dataset(str(recipe.parent / "data.jsonl"))
    assert not (recipe.parent / "out.run").exists()


def test_an_interrupt_ends_a_run_at_once_with_code_130(tmp_path: Path) -> None:
    operators = tmp_path / "slow.py"
    operators.write_text(SLOW, encoding="utf-8")
    (tmp_path / "data.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"dataset_path: {tmp_path}/data.jsonl\nexport_path: {tmp_path}/out.jsonl\n"
        f"custom_operator_paths: {operators}\nprocess: [slow_mapper]\n",
        encoding="utf-8",
    )
    run = subprocess.Popen([sys.executable, "-m", "juicecap", "run", recipe], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    until((tmp_path / "begun").exists, run)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=20)
    assert run.returncode == 130
    assert "run the same command again to go on" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_without_a_traceback(verb: str) -> None:
    done = command(verb, "--help")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_an_interrupted_run_says_how_to_go_on(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("juicecap.runner.run", interrupted)
    assert main(["run", str(recipe)]) == 130
    assert "run the same command again to go on" in capsys.readouterr().err


def test_what_goes_on_after_fresh_is_the_command_without_it(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise errors.pop()

    failure = EnvironmentFailure("the server is gone; running again resumes")
    failure.add_note(GO_ON_AFTER_FRESH)
    errors = [failure, KeyboardInterrupt()]
    monkeypatch.setattr("juicecap.runner.run", failing)
    assert main(["run", str(recipe), "--fresh"]) == 130
    assert capsys.readouterr().err == "interrupted; what is finished is kept, run again without --fresh to go on\n"
    assert main(["run", str(recipe), "--fresh"]) == 4
    assert capsys.readouterr().err.splitlines() == [str(failure), GO_ON_AFTER_FRESH]


def test_an_exception_that_nobody_expected_is_a_bug_with_code_70(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("boom")

    monkeypatch.setattr("juicecap.runner.run", broken)
    assert main(["run", str(recipe)]) == 70
    error = capsys.readouterr().err
    assert "ValueError: boom" in error
    assert error.splitlines()[-1] == "juicecap: this is a bug in juicecap, please report it with the lines above"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "this process got no more memory, or no more threads: raise what it may take (ulimit -v, "),
        (RuntimeError("can't start new thread"), "this process got no more memory, or no more threads: "),
        (
            ImportError("libav.so: cannot open shared object file", name="av._core"),
            "av cannot be opened (libav.so: cannot open shared object file): install it anew (",
        ),
        (
            ImportError("cannot import name 'Dataset' from 'datasets'", name="datasets"),
            "datasets cannot be opened (cannot import name 'Dataset' from 'datasets'): install it anew (",
        ),
    ],
)
def test_want_of_memory_and_broken_libraries_are_the_machines_with_code_4(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, sentence: str
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("juicecap.runner.run", failing)
    assert main(["run", str(recipe)]) == 4
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 1
    assert told[0].startswith(sentence)
    assert told[0].endswith("; running again resumes")


def test_a_module_of_ours_that_is_missing_is_a_bug(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ImportError("cannot import name 'x' from 'juicecap.runner'", name="juicecap.runner")

    monkeypatch.setattr("juicecap.runner.run", failing)
    assert main(["run", str(recipe)]) == 70
    assert "report it with the lines above" in capsys.readouterr().err
