"""The display in a cell, drawn through a stand-in for IPython, which only a notebook has."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

import juicecap
from juicecap.errors import ArgumentError, BugError, RecipeError
from juicecap.notebook.progress import NotebookProgress, in_notebook
from juicecap.runner import RunStatus, StepStatus

STEP = StepStatus(op="an_op", number=1, state="running", samples=10, done=4, samples_per_second=2.0)
STATUS = RunStatus(
    state="running", recipe="", export_path="", work_dir="", working_directory="", pid=1, host="", started="", updated="",
    seconds=1.0, steps=(STEP,), step_count=2,
)  # fmt: skip


class Cell:
    """What a cell shows, and by which thread it was drawn last."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []

    def display(self, bundle: dict[str, str], *, raw: bool, display_id: bool) -> Cell:
        assert raw
        assert display_id
        self.shown.append(bundle)
        return self

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Cell:
    cell = Cell()
    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=cell.display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return cell


def test_where_a_notebook_is(monkeypatch: pytest.MonkeyPatch, cell: Cell) -> None:
    assert in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_notebook()


def test_a_bar_for_what_runs_and_a_line_for_what_is_done(cell: Cell) -> None:
    with NotebookProgress() as progress:
        progress.started("an_op", 1, 2, 10, finished=False)
        drawing = threading.Thread(target=progress.reported, args=(STATUS,))
        drawing.start()
        drawing.join()
        html = cell.shown[-1]["text/html"]
        assert "width:40%" in html
        assert "<b>[1/2] an_op</b>" in html
        assert cell.shown[-1]["text/plain"] == "[1/2] an_op: 4/10 samples, 2.0 samples/s"
        before = len(cell.shown)
        progress.reported(STATUS)
        assert len(cell.shown) == before
        progress.ended(replace(STEP, state="done", done=10, seconds=5.0))
        progress._line("a <clip> is damaged")
        progress.reported(replace(STATUS, state="exporting", steps=()))
        assert cell.shown[-1]["text/plain"].splitlines()[-1] == "writing the output"
    assert cell.shown[-1] == {
        "text/html": "<div>[1/2] an_op: 10 samples, 0:00:05, 2.0 samples/s</div><div>a &lt;clip&gt; is damaged</div>",
        "text/plain": "[1/2] an_op: 10 samples, 0:00:05, 2.0 samples/s\na <clip> is damaged",
    }


def test_a_run_draws_in_the_cell_and_on_no_terminal(
    cell: Cell, recipe: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    result = juicecap.run(recipe, progress=True)
    assert result.exported == 2
    assert cell.shown[-1]["text/plain"].startswith("[1/1] video_captioning_from_vlm_mapper: 3 samples")
    assert capfd.readouterr() == ("", "")


class TestErrors:
    """What IPython is told to show of an error."""

    def shown(self, error: Exception) -> list[str]:
        return error._render_traceback_()  # type: ignore[attr-defined, no-any-return]

    def test_the_callers_lines_and_the_sentence(self) -> None:
        with pytest.raises(RecipeError) as caught:
            juicecap.run({"process": [], "limitt": 3})
        *lines, last = self.shown(caught.value)
        assert last == "RecipeError: limitt: a recipe has no key 'limitt'"
        assert __file__ in lines[-1]
        assert "juicecap.run({" in lines[-1]
        assert not any("juicecap/notebook/__init__.py" in line for line in lines)

    def test_a_wrong_argument_is_a_type_error_too(self) -> None:
        with pytest.raises(TypeError) as caught:
            juicecap.ops.TextLengthFilter(max_lenn=3)
        assert isinstance(caught.value, ArgumentError)
        assert self.shown(caught.value)[-1].startswith(
            "ArgumentError: TextLengthFilter has no parameter 'max_lenn'; did you mean"
        )

    def test_a_bug_has_its_whole_traceback(self) -> None:
        with pytest.raises(BugError) as caught:
            raise BugError("counts")
        assert "Traceback" in self.shown(caught.value)[0]
