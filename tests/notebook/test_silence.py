"""A run says nothing unless it is asked to; what it warned of is in its result."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

import juicecap
from juicecap import runner
from juicecap.errors import RecipeError, UsageError

SCRIPT = """
import os
import juicecap
from loguru import logger
logger.info("mine before")
recipe = {"dataset_path": "data.jsonl", "export_path": "out.jsonl", "process": ["text_length_filter"], "np": 2}
result = juicecap.run(recipe, progress=os.environ.get("SHOWN") == "yes")
logger.info("mine after")
print(result.warnings)
"""


def script(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "data.jsonl").write_text('{"text": "a"}\n')
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(juicecap.__file__).parents[1]), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


@pytest.mark.process
def test_a_script_sees_its_own_messages_alone(tmp_path: Path) -> None:
    done = script(tmp_path)
    assert [line.rpartition(" - ")[2] for line in done.stderr.splitlines()] == ["mine before", "mine after"]
    assert done.stdout.startswith("(\"'np' has no effect: ")
    done = script(tmp_path, SHOWN="yes")
    assert "[1/1] text_length_filter: 1 sample, " in done.stderr
    assert "'np' has no effect: " in done.stderr
    assert "out.run/recipe.yaml begins" not in done.stderr


IN_A_KERNEL = """
import sys
from types import SimpleNamespace
sys.modules["IPython"] = SimpleNamespace(get_ipython=lambda: None)
sys.modules["ipykernel.zmqshell"] = SimpleNamespace()
import juicecap
print(juicecap.load_dataset("data.jsonl", clean=True).column_names)
"""


@pytest.mark.process
def test_a_notebook_without_widgets_is_not_warned(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"text": "a"}\n')
    done = subprocess.run(
        [sys.executable, "-c", IN_A_KERNEL],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(juicecap.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("['text']\n", "")


def test_handlers_that_somebody_set_up_get_everything(recipe: dict[str, Any]) -> None:
    heard: list[str] = []
    sink = logger.add(lambda message: heard.append(message.record["message"]), level="INFO")
    try:
        juicecap.run(recipe)
    finally:
        logger.remove(sink)
    assert heard[-1] == "2 samples exported"


def test_warnings_are_in_the_result_and_shown(recipe: dict[str, Any]) -> None:
    result = juicecap.run({**recipe, "np": 2})
    assert juicecap.run({**recipe, "np": 2}).warnings == result.warnings
    (warned,) = result.warnings
    assert warned.startswith("'np' has no effect")
    assert warned.replace("'", "&#x27;") in result._repr_html_()
    assert f"warning   {warned}" in repr(result)


def test_the_signature_is_that_of_the_runner() -> None:
    assert inspect.signature(juicecap.run).parameters.keys() == inspect.signature(runner.run).parameters.keys()
    assert juicecap.run.__doc__ == runner.run.__doc__
    with pytest.raises(TypeError, match="limitt"):
        juicecap.run("recipe.yaml", limitt=3)  # type: ignore[call-arg]
    with pytest.raises(RecipeError, match="there is no such file"):
        juicecap.run(recipe="gone.yaml")
    with pytest.raises(UsageError, match=r"^progress=True is for juicecap\.run"):
        runner.run({"process": []}, progress=True)
