"""The cells of docs/python.md and of the README, run in order as in a notebook; the model alone is scripted."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from documented import ROOT, blocks
from scripted import Script, stands_in_for_all


def run_cells(page: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> tuple[dict[str, Any], list[int]]:
    """What the cells have defined, and how often each asked the model."""
    stands_in_for_all(monkeypatch)
    module = ModuleType("cells")
    monkeypatch.setitem(sys.modules, "cells", module)
    asked = []
    for number, cell in enumerate(blocks(page, "python")):
        name = f"<cell {number}>"
        linecache.cache[name] = (len(cell), None, cell.splitlines(keepends=True), name)
        exec(compile(cell, name, "exec"), vars(module))
        asked.append(sum(len(batch) for batch in script.batches))
        script.batches.clear()
    return vars(module), asked


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script, closed: None) -> Path:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_on_python(workplace: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    cells, asked = run_cells(ROOT / "docs" / "python.md", monkeypatch, script)
    recipe, _, loaded, one_op, kept, *others = asked
    assert (recipe, loaded) == (10, 2)
    assert one_op >= 10
    assert kept == 10  # the first two once, then the other eight; the run folder knows all
    assert not any(others)
    assert len(cells["more"]) == len(cells["result"].dataset()) * 5 == 10
    assert len((workplace / "rejected.jsonl").read_text().splitlines()) == 1
    assert "__juicecap" not in (workplace / "short.jsonl").read_text()
    assert cells["KeyWordFilter"](word="moves")({"text": ["it moves", "it stands"]}) == {"text": ["it moves"]}


def test_the_readme(workplace: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> None:
    _, asked = run_cells(ROOT / "README.md", monkeypatch, script)
    assert any(asked)
