"""Ops from users' files and from installed packages."""

from __future__ import annotations

import importlib.metadata
import linecache
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from waiting import until

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


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import sys; sys.exit()", "SystemExit: "),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("class Odd(BaseException): pass\nraise Odd('no')", "Odd: no"),
        ("raise GeneratorExit", "GeneratorExit: "),
        ("import sys; del sys.modules[__name__]; raise ValueError('gone')", "ValueError: gone"),
        ("class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute", "Mute: "),
        ("a = (", "SyntaxError: '(' was never closed (ops.py, line 1)"),
        ("a = '\0'", "SyntaxError: source code string cannot contain null bytes"),
        ("def f(): return f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("raise MemoryError", "MemoryError: "),
    ],
)
def test_whatever_a_file_raises_is_told_and_nothing_of_it_stays(code, what, tmp_path):
    file = tmp_path / "ops.py"
    file.write_text(FILE.format(name="LoudMapper") + code)
    before = set(sys.modules)
    with pytest.raises(DataError) as caught:
        registry.load_files([str(file)])
    said = str(caught.value).replace("ValueError: source", "SyntaxError: source")  # Python 3.11 before 3.11.4
    assert said.startswith(f"custom_operator_paths: {file} fails with {what.partition(' (')[0]}")
    assert registry.registered() == {}
    assert not [name for name in set(sys.modules) - before if name.startswith("juicecap_custom")]


def test_who_is_asked_to_end_while_a_file_runs_ends(tmp_path):
    (tmp_path / "ops.py").write_text("raise KeyboardInterrupt")
    before = set(sys.modules)
    with pytest.raises(KeyboardInterrupt):
        registry.load_files([str(tmp_path / "ops.py")])
    assert not [name for name in set(sys.modules) - before if name.startswith("juicecap_custom")]


@pytest.mark.parametrize("blank", ["", "  "])
def test_an_empty_path_is_none(blank, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ops.py").write_text(FILE.format(name="LoudMapper"))
    registry.load_files([blank])
    assert registry.registered() == {}


def test_of_a_folder_its_own_python_files_are_run_that_do_not_begin_with_a_dot(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, op in {"b.py": "LoudMapper", ".hidden.py": "HiddenMapper", "deep/c.py": "DeepMapper"}.items():
        (tmp_path / name).write_text(FILE.format(name=op))
    (tmp_path / ".#b.py").symlink_to("somebody@host.1:2")  # an editor's lock
    (tmp_path / "a.py").symlink_to("deep/c.py")
    assert [file.name for file in registry.files_of(str(tmp_path))] == ["a.py", "b.py"]
    registry.load_files([str(tmp_path)])
    assert list(registry.registered()) == ["deep_mapper", "loud_mapper"]


def test_a_link_is_followed_and_one_that_leads_nowhere_is_told(tmp_path):
    (tmp_path / "link.py").symlink_to(tmp_path / "gone.py")
    (tmp_path / "round.py").symlink_to(tmp_path / "round.py")
    for name in ("link.py", "round.py"):
        with pytest.raises(DataError, match=rf"{name} does not exist$"):
            registry.load_files([str(tmp_path / name)])


def test_what_is_no_file_is_neither_run_nor_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "link.py").symlink_to("/dev/zero")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "folder.py" / "pipe.py").symlink_to(tmp_path / "pipe.py")
    for name in ("pipe.py", "link.py", "folder.py"):
        with pytest.raises(DataError, match=r"^custom_operator_paths: .*(pipe|link)\.py is no regular file$"):
            registry.load_files([str(tmp_path / name)])


def test_a_file_without_end_is_not_read(tmp_path):
    with (tmp_path / "ops.py").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(DataError, match=r"ops\.py is larger than 10,000,000 bytes; that is no file of ops$"):
        registry.load_files([str(tmp_path / "ops.py")])


@pytest.mark.parametrize("path", ["a\0.py", "a" * 300 + ".py", "a/" * 3000 + "b.py"])
def test_a_path_that_cannot_be_is_told(path):
    with pytest.raises(DataError, match=r"^custom_operator_paths: a"):
        registry.load_files([path])


@pytest.mark.parametrize("name", ["../x", "a/b", "A B", "", "1st", "a.b", "a\nb", "X" * 101, "é" * 51, "é\u202e"])
def test_a_name_that_could_name_no_file_names_no_op(name):
    with pytest.raises(DataError, match="cannot be the name of an op"):
        registry.register(type(name, (Op,), {}))
    assert registry.registered() == {}


@pytest.mark.parametrize("name", ["TextLengthFilter", "VideoCaptioningFromVLMMapper", "text_length_filter"])
def test_no_op_takes_the_place_of_a_built_in_one(name):
    with pytest.raises(DataError) as caught:
        registry.register(type(name, (Op,), {}))
    assert str(caught.value).endswith(" is an op that juicecap brings: give the class another name")
    assert catalog.find("text_length_filter") is TextLengthFilter


def test_the_source_of_an_op_is_read_in_whatever_bytes_it_is_written(tmp_path):
    file = tmp_path / "ops.py"
    source = "# -*- coding: latin-1 -*-\n# caf\u00e9" + FILE.format(name="ShoutMapper")
    file.write_bytes(source.encode("latin-1"))
    registry.load_files([str(file)])
    assert "class ShoutMapper(Mapper):" in registry.source_of(catalog.find("shout_mapper"))


def checked(tmp_path, code, *words):
    """The process of `juicecap check` for a recipe with these operators."""
    (tmp_path / "my_ops.py").write_text(code)
    (tmp_path / "clips.jsonl").write_text('{"text": "a text that is long enough"}\n')
    recipe = (
        "dataset_path: clips.jsonl\nexport_path: out/a.jsonl\ncustom_operator_paths: my_ops.py\nprocess: [text_length_filter]\n"
    )
    (tmp_path / "recipe.yaml").write_text(recipe)
    command = [sys.executable, "-m", "juicecap", *(words or ("check", "recipe.yaml"))]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=tmp_path, text=True, env=environment, **pipes)


def test_a_file_that_leaves_the_program_does_not_end_a_check(tmp_path):
    out, err = checked(tmp_path, "import sys\nsys.exit(0)\n").communicate(timeout=60)
    assert "no problems" not in out
    assert err.startswith("recipe.yaml:3:24: custom_operator_paths: my_ops.py fails with SystemExit: 0\n")


def test_what_a_file_prints_is_not_taken_for_what_juicecap_says(tmp_path):
    for words in (("check", "recipe.yaml", "--json"), ("ops", "--json", "--operators", "my_ops.py")):
        process = checked(tmp_path, "print('hello')\n", *words)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out[0] in "[{", err) == (0, True, "hello\n")


def test_a_file_that_never_ends_can_be_interrupted(tmp_path):
    process = checked(tmp_path, "import pathlib, time\npathlib.Path('begun').touch()\nwhile True: time.sleep(0.01)\n")
    try:
        until((tmp_path / "begun").exists, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, "interrupted\n")


def test_the_source_of_a_built_in_op_is_its_version():
    assert registry.source_of(TextLengthFilter) == ""


def test_the_source_of_an_op_of_a_notebook_is_its_cell(monkeypatch):
    monkeypatch.setitem(sys.modules, "a_notebook", ModuleType("a_notebook"))
    for number, said in enumerate(("one", "two")):
        cell = FILE.format(name="CellMapper") + f"    SAID = {said!r}\n"
        name = f"<cell {number}>"
        monkeypatch.setitem(linecache.cache, name, (len(cell), None, cell.splitlines(keepends=True), name))
        exec(compile(cell, name, "exec"), vars(sys.modules["a_notebook"]))
        assert registry.source_of(catalog.find("cell_mapper")) == cell


def offer(monkeypatch, name, value):
    point = importlib.metadata.EntryPoint(name, value, "juicecap.ops")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if group == "juicecap.ops" else [])


def test_an_installed_package(monkeypatch):
    kind = type("ItsMapper", (Op,), {})
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


@pytest.mark.parametrize(
    ("thing", "what"),
    [("a text", "is no op"), (dict, "is no op"), (None, "cannot be imported: SystemExit: 3")],
)
def test_a_package_that_offers_no_op(thing, what, monkeypatch):
    class Leaving:
        def __getattr__(self, name):
            sys.exit(3)

    monkeypatch.setitem(sys.modules, "its_module", Leaving() if thing is None else SimpleNamespace(ItsMapper=thing))
    offer(monkeypatch, "its_mapper", "its_module:ItsMapper")
    with pytest.raises(EnvironmentFailure, match=rf"^the op its_mapper \(its_module:ItsMapper\) {what}"):
        catalog.find("its_mapper")


def test_a_name_of_a_package_that_could_name_no_file(monkeypatch):
    monkeypatch.setitem(sys.modules, "its_module", SimpleNamespace(ItsMapper=type("ItsMapper", (Op,), {})))
    offer(monkeypatch, "../../its_mapper", "its_module:ItsMapper")
    assert "../../its_mapper" not in catalog.names()
    with pytest.raises(catalog.UnknownOp):
        catalog.find("../../its_mapper")


def test_no_other_package_is_imported_to_find_an_op(monkeypatch):
    offer(monkeypatch, "its_mapper", "no_such_module_at_all:ItsMapper")
    assert catalog.find("text_length_filter") is TextLengthFilter
