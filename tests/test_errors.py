"""The error tree is the one that its docstring draws."""

from __future__ import annotations

import ast
import importlib
import pickle
import re
from pathlib import Path

import pytest

import juicecap
from juicecap import errors

PACKAGE = Path(juicecap.__file__).parent


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """Name of each error in the drawing -> its parent and, where one stands, its exit code."""
    found: dict[str, tuple[str | None, str | None]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:[│ ]   )*)([├└]── )?([A-Z]\w+)(?: .*)?$", line):
            depth = len(match[1]) // 4 + bool(match[2])
            code = re.search(r"exit (\d+)$", line)
            path[depth:] = [match[3]]
            found[match[3]] = (path[depth - 1] if depth else None, code and code[1])
    return found


def defined() -> dict[str, tuple[str | None, str]]:
    """Name of each error that a module of the package defines -> its parent and its module; nothing is imported for it."""
    classes = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                parents = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
                classes[node.name] = (parents, ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts))
    found: dict[str, tuple[str | None, str]] = {"JuicecapError": (None, classes["JuicecapError"][1])}
    while more := {
        name: (parent, module)
        for name, (parents, module) in classes.items()
        for parent in parents
        if parent in found and name not in found
    }:
        found.update(more)
    return found


KINDS = {name: getattr(importlib.import_module(module), name) for name, (_, module) in defined().items()}


def test_the_drawing_holds_every_error_of_the_package_under_its_parent():
    assert {name: parent for name, (parent, _) in drawn().items()} == {name: parent for name, (parent, _) in defined().items()}


def test_errors_of_other_modules_are_drawn_with_their_module():
    lines = {line.split("── ")[1].split()[0]: line for line in (errors.__doc__ or "").splitlines() if "── " in line}
    for name, (_, module) in defined().items():
        if module != "juicecap.errors":
            assert f"(`{module.removeprefix('juicecap.')}`)" in lines[name]


@pytest.mark.parametrize(("name", "code"), [(name, code) for name, (_, code) in drawn().items() if code])
def test_exit_codes_are_those_of_the_drawing(name, code):
    assert KINDS[name].exit_code == int(code)


def test_a_sample_error_says_code_and_message():
    error = errors.MediaError("UNREADABLE", "a.mp4 is empty", retryable=True)
    assert str(error) == "UNREADABLE: a.mp4 is empty"
    assert (error.code, error.message, error.retryable) == ("UNREADABLE", "a.mp4 is empty", True)
    assert errors.SampleError("NO_VIDEO", "none").retryable is False


def test_a_missing_library_says_how_to_get_it():
    assert str(errors.MissingLibrary("torch", "pip install it")) == "torch is not installed. Install it with: pip install it"


def test_settings_errors_name_the_op_in_each_sentence():
    error = errors.SettingsError("shout_mapper", [("volume", "volume is too high"), ("echo", "echo is not there")])
    assert str(error) == "shout_mapper: volume is too high\nshout_mapper: echo is not there"
    assert error.problems == [("volume", "volume is too high"), ("echo", "echo is not there")]


@pytest.mark.parametrize(
    "error",
    [
        errors.MissingLibrary("torch", "pip install it"),
        errors.MediaError("UNREADABLE", "a.mp4 is empty", retryable=True),
        errors.SettingsError("op", [("a", "b")]),
        errors.RecipeError("report", ["problem"]),
    ],
)
def test_errors_survive_the_way_between_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
