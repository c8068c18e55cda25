"""Ops from users' files and from installed packages."""

from __future__ import annotations

import importlib.metadata
import os
import pickle
import sys
from types import SimpleNamespace

import pytest

from juicecap.errors import DataError, EnvironmentFailure
from juicecap.ops import TextLengthFilter, catalog, registry
from juicecap.ops.base import Op

FILE = '''
"""An op."""
from dataclasses import dataclass
from juicecap.ops.base import Mapper
from juicecap.ops.registry import register

@register
@dataclass(frozen=True, kw_only=True)
class {name}(Mapper):
    """Shouts."""

    mark: str = "!"
    """What is put behind."""

    def process(self, sample, outcomes):
        """The text in capitals."""
        return [{{**sample, "text": sample["text"].upper() + self.mark}}]
'''


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    registry.entry_points.cache_clear()
    yield
    registry.entry_points.cache_clear()


def test_a_file(tmp_path):
    file = tmp_path / "ops.py"
    file.write_text(FILE.format(name="ShoutMapper"))
    registry.load_files([str(file)])
    kind = catalog.find("shout_mapper")
    op = kind(mark="?")
    assert op({"text": ["ab"]}) == {"text": ["AB?"]}
    assert kind.name == "shout_mapper"
    assert registry.source_of(kind) == FILE.format(name="ShoutMapper")
    assert pickle.loads(pickle.dumps(op)) == op
    assert "shout_mapper" in catalog.names()


def test_a_file_that_was_edited_replaces_its_op(tmp_path):
    file = tmp_path / "ops.py"
    for mark in ("1", "2"):
        file.write_text(FILE.format(name="ShoutMapper").replace('"!"', f'"{mark}"'))
        os.utime(file, (1, 1))  # of one size and one time, as after two quick edits
        registry.load_files([str(file)])
        assert catalog.find("shout_mapper")().mark == mark


def test_the_files_of_a_folder(tmp_path):
    (tmp_path / "a.py").write_text(FILE.format(name="LoudMapper"))
    (tmp_path / "b.py").write_text(FILE.format(name="QuietMapper"))
    (tmp_path / "notes.txt").write_text("not Python")
    registry.load_files([str(tmp_path)])
    assert list(registry.registered()) == ["loud_mapper", "quiet_mapper"]


def test_files_of_one_name_in_two_folders_stay_apart(tmp_path):
    for folder, name in (("x", "LoudMapper"), ("y", "QuietMapper")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ops.py").write_text(FILE.format(name=name))
    registry.load_files([str(tmp_path / "x" / "ops.py"), str(tmp_path / "y" / "ops.py")])
    loud = catalog.find("loud_mapper")
    assert registry.source_of(loud) == FILE.format(name="LoudMapper")
    assert pickle.loads(pickle.dumps(loud())) == loud()


@pytest.mark.parametrize(
    ("name", "registered"),
    [("ShoutMapper", "shout_mapper"), ("VideoFromVLMMapper", "video_from_vlm_mapper"), ("Top5Selector", "top5_selector")],
)
def test_names(name, registered):
    kind = registry.register(type(name, (Op,), {}))
    assert kind.name == registered
    assert registry.registered() == {registered: kind}


def test_a_class_that_is_no_op_is_not_registered():
    with pytest.raises(DataError, match="is registered as an op but is none"):
        registry.register(dict)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError) as caught:
        registry.load_files([str(tmp_path / "none.py")])
    assert str(caught.value) == f"custom_operator_paths: {tmp_path / 'none.py'} does not exist"


def test_a_file_that_is_not_python(tmp_path):
    (tmp_path / "ops.txt").write_text("x")
    with pytest.raises(DataError, match=r"ops\.txt is not a Python file"):
        registry.load_files([str(tmp_path / "ops.txt")])


def test_a_file_that_fails_leaves_nothing_behind(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("import no_such_module_at_all")
    with pytest.raises(DataError) as caught:
        registry.load_files([str(file)])
    assert str(caught.value) == (
        f"custom_operator_paths: {file} fails with ModuleNotFoundError: No module named 'no_such_module_at_all'"
    )
    assert not [name for name in sys.modules if "broken" in name and name.startswith("juicecap_custom")]


def test_the_source_of_a_built_in_op_is_its_version():
    assert registry.source_of(TextLengthFilter) == ""


def offer(monkeypatch, name, value):
    point = importlib.metadata.EntryPoint(name, value, "juicecap.ops")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == "juicecap.ops" else [])


def test_an_installed_package(monkeypatch):
    kind = type("ItsMapper", (), {})
    monkeypatch.setitem(sys.modules, "its_module", SimpleNamespace(ItsMapper=kind))
    offer(monkeypatch, "its_mapper", "its_module:ItsMapper")
    assert "its_mapper" in catalog.names()
    assert catalog.find("its_mapper") is kind
    assert kind.name == "its_mapper"


def test_a_package_that_cannot_be_imported(monkeypatch):
    offer(monkeypatch, "its_mapper", "no_such_module_at_all:ItsMapper")
    with pytest.raises(EnvironmentFailure) as caught:
        catalog.find("its_mapper")
    assert str(caught.value) == (
        "the op its_mapper (no_such_module_at_all:ItsMapper) cannot be imported: "
        "ModuleNotFoundError: No module named 'no_such_module_at_all'"
    )


def test_no_other_package_is_imported_to_find_an_op(monkeypatch):
    offer(monkeypatch, "its_mapper", "no_such_module_at_all:ItsMapper")
    assert catalog.find("text_length_filter") is TextLengthFilter
