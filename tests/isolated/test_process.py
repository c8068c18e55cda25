"""Isolated processes: what a call gives, and how it ends where it wants too much, crashes or hangs."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until

from juicecap.errors import BugError, DataError, EnvironmentFailure
from juicecap.isolated import IsolatedProcess, Stopped

pytestmark = pytest.mark.process

MB = 1 << 20


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[IsolatedProcess]:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    with IsolatedProcess(memory=200 * MB) as process:
        yield process


def test_a_value_comes_back_as_it_went(process):
    value = {"text": "Ünïcödé 字幕 \ud800 \0", "list": [1, 2.5, None, True], "large": "x" * 5 * MB}
    assert process.call("calls:echo", value) == value
    assert process.call("calls:talks", "said on stdout and stderr") == "said on stdout and stderr"


def test_calls_share_a_process_that_is_not_this_one(process):
    first = process.call("calls:pid", None)
    assert first != os.getpid()
    assert process.call("calls:pid", None) == first
    process.close()
    assert process.call("calls:pid", None) != first


def test_memory_is_limited_and_the_process_lives_on(process):
    before = process.call("calls:pid", None)
    assert process.call("calls:takes", 100 * MB) == 100 * MB
    with pytest.raises(Stopped, match="it takes more than 200 MB") as stopped:
        process.call("calls:takes", 400 * MB)
    assert stopped.value.why == "memory"
    assert process.call("calls:pid", None) == before


@pytest.mark.parametrize(
    ("call", "limit", "words"),
    [
        ("calls:spins", {"cpu_seconds": 0.3}, "it takes too much of the processor"),
        ("calls:spins", {"wall_seconds": 0.3}, "it takes too long"),
        ("calls:sleeps", {"cpu_seconds": 0.3, "wall_seconds": 0.6}, "it takes too long"),
    ],
)
def test_time_is_limited_and_the_next_call_is_answered(process, call, limit, words):
    with pytest.raises(Stopped, match=words) as stopped:
        process.call(call, None, **limit)
    assert stopped.value.why == "time"
    assert process.call("calls:echo", "there") == "there"


def test_a_crash_costs_one_call_and_says_how(process):
    with pytest.raises(Stopped) as stopped:
        process.call("calls:crashes", "last words")
    assert (stopped.value.why, str(stopped.value)) == ("crash", "its process crashed (signal SIGSEGV): last words")
    assert process.call("calls:echo", "there") == "there"


def test_a_process_that_says_nothing_has_no_last_words(process):
    with pytest.raises(Stopped) as stopped:
        process.call("calls:crashes", "")
    assert str(stopped.value) == "its process crashed (signal SIGSEGV)"


def test_one_that_is_killed_from_outside_is_no_fault_of_what_it_was_given(process):
    with pytest.raises(EnvironmentFailure, match="a process was killed, as happens for want of memory; running again resumes"):
        process.call("calls:is_killed", None)
    assert process.call("calls:echo", "there") == "there"


def test_errors_come_back_as_what_they_are(process):
    with pytest.raises(DataError, match=r"^clips\.parquet is damaged$"):
        process.call("calls:refuses", "clips.parquet is damaged")
    with pytest.raises(BugError, match="MissingLibrary: torch is not installed"):
        process.call("calls:lacks", None)
    with pytest.raises(BugError, match="ZeroDivisionError: by nothing"):
        process.call("calls:fails", "by nothing")
    with pytest.raises(BugError, match="ModuleNotFoundError"):
        process.call("no_such_module:call", None)


def test_a_signal_interrupts_a_call_that_hangs(process):
    caller = threading.main_thread().ident
    threading.Timer(0.5, signal.pthread_kill, (caller, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        process.call("calls:sleeps", None)
    assert process.call("calls:echo", "there") == "there"


def test_it_ends_with_its_parent_in_the_middle_of_a_call(tmp_path):
    script = tmp_path / "script.py"  # without a guard of `__main__`
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from juicecap.isolated import IsolatedProcess\n"
        "process = IsolatedProcess(memory=1 << 28)\n"
        "print(process.call('calls:pid', None), flush=True)\n"
        "process.call('calls:sleeps', None)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    until(lambda: not os.path.exists(f"/proc/{child}"))


def test_the_limit_of_memory_is_for_the_call_and_not_for_what_is_sent(process):
    with pytest.raises(Stopped, match="it takes more than 200 MB"):
        process.call("calls:takes", 400 * MB)
    before = process.call("calls:pid", None)
    assert process.call("calls:size", "x" * 150 * MB, wall_seconds=120) == 150 * MB
    assert process.call("calls:pid", None) == before


def test_one_that_is_forgotten_ends():
    process = IsolatedProcess(memory=200 * MB)
    child = process.call("os:getpgid", 0)
    assert os.path.exists(f"/proc/{child}")
    del process
    gc.collect()
    assert not os.path.exists(f"/proc/{child}")
