"""Starting an engine's process: from any program, with its own environment, and with its words kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: .ci/run runs these tests in its vLLM lane")

from juicecap.vlm.backends.vllm.process import EngineLog, started

pytestmark = pytest.mark.model

BARE_SCRIPT = """
import asyncio, os, sys
from contextlib import AsyncExitStack
print("once")
from juicecap.media.load import load_frames
from juicecap.media.sampling import FrameSampling
from juicecap.vlm.base import Message, ModelSettings, Part, Prepared, Request
from juicecap.vlm.backends.vllm.backend import describe

kept = []
path, text = sys.argv[1:]
settings = ModelSettings(backend="vllm", model="juicecap-demo-vlm")
request = Request(model=settings, messages=(Message("user", (Part("video", path), Part("text", text))),))

async def main():
    before = dict(os.environ)
    async with AsyncExitStack() as held:
        backend = await held.enter_async_context(describe(settings))
        engine = await held.enter_async_context(backend.open())
        picture = load_frames("video", path, FrameSampling(), backend.capabilities.sizes)
        (outcome,) = await engine.generate([Prepared(request=request, pictures=(picture,), seed=1)])
        print(outcome.answers[0].text)
        left = [name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)]
        print([name for name in left if not name.startswith("AITER")])  # set by a thread of vLLM's, some time later
        if "close" not in os.environ["HOW"]:
            kept.append(held.pop_all())

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["close", "just end"])
def test_a_script_without_a_main_guard(tmp_path, clips, how):
    script = tmp_path / "script.py"
    script.write_text(BARE_SCRIPT)
    done = subprocess.run(
        [sys.executable, script, clips.paths[0], "\nDescribe the input video in 1-2 sentences.\n"],
        capture_output=True,
        text=True,
        env={**os.environ, "HOW": how},
        timeout=150,
        check=False,
    )
    assert done.stdout.splitlines() == ["once", clips.captions[0], "[]"], done.stderr
    assert [line for line in done.stderr.splitlines() if "demonstration model" not in line] == []
    assert done.returncode == 0


def test_engines_end_with_a_program_that_is_killed(tmp_path, clips):
    import psutil

    script = tmp_path / "script.py"
    script.write_text(
        BARE_SCRIPT.replace("        picture =", "        print('open', flush=True); await asyncio.sleep(99)\n        picture =")
    )
    command = [sys.executable, script, clips.paths[0], "x"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        while program.stdout.readline() != "open\n":
            assert program.poll() is None
        engines = psutil.Process(program.pid).children(recursive=True)
        assert engines
        program.kill()
        _, alive = psutil.wait_procs(engines, timeout=20)
    assert alive == []


def test_the_environment_is_the_programs_own_again(monkeypatch):
    monkeypatch.setenv("JUICECAP_A", "1")

    def start():
        os.environ["JUICECAP_C"] = "3"
        os.environ["JUICECAP_A"] += "0"
        return os.environ["JUICECAP_A"] + os.environ["JUICECAP_B"]

    assert started(start, {"JUICECAP_B": "2"}) == "102"
    assert os.environ["JUICECAP_A"] == "1"
    assert not {"JUICECAP_B", "JUICECAP_C"} & os.environ.keys()


def test_a_start_that_fails_leaves_nothing_behind():
    def start():
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        started(start, {"JUICECAP_B": "2"})
    assert "JUICECAP_B" not in os.environ


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("", ""),
        ("INFO 11-21 06:33:37 [core.py:1] all is well\n", ""),
        (
            "Traceback (most recent call last):\n  raise ValueError\nValueError: too small\nRuntimeError: failed\n",
            "ValueError: too small",
        ),
        ("(Worker pid=7) ERROR 11-21 06:33:37 [x.py:12] torch.OutOfMemoryError: CUDA\n", "torch.OutOfMemoryError: CUDA"),
        ('ERROR 11-21 06:33:37 [x.py:12]     raise ValueError("x: y")\n', ""),
    ],
)
def test_the_cause_is_the_error_that_came_first(words, cause):
    log = EngineLog()
    log.path.write_text(words)
    assert log.cause() == cause
    log.close()
    assert not Path(log.path).exists()
