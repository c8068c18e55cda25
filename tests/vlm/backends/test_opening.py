"""Libraries of backends that are missing, broken, or find no memory: the machine's fault, in a sentence."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from juicecap.errors import EnvironmentFailure, MissingLibrary
from juicecap.vlm.backends import opening
from juicecap.vlm.backends.opening import opened
from juicecap.vlm.installed import install_command

ANEW = 'install them anew (pip install --force-reinstall "juicecap[hf]"); running again resumes'
Module = Callable[[str], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Makes a backend's module that opens a library of this text."""
    monkeypatch.syspath_prepend(tmp_path)

    def made(text: str) -> str:
        (tmp_path / "foreign_library.py").write_text(textwrap.dedent(text))
        (tmp_path / "some_backend.py").write_text("import foreign_library\n")
        for name in ("foreign_library", "some_backend"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        return "some_backend"

    return made


def failure(name: str) -> str:
    with pytest.raises(EnvironmentFailure) as caught:
        opened(name, ("torch", "transformers"), "hf")
    assert caught.value.exit_code == 4
    return str(caught.value)


def test_what_is_sound_is_opened(module):
    assert opened(module("value = 5"), (), "hf").foreign_library.value == 5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("raise ImportError('libcudart.so.12: cannot open shared object file')", "ImportError: libcudart.so.12: cannot open"),
        ("raise OSError('libtorch.so: undefined symbol: x')", "OSError: libtorch.so: undefined symbol: x"),
        ("raise RuntimeError('operator torchvision::nms does not exist\\nmore')", "RuntimeError: operator torchvision::nms does"),
        ("import ctypes; ctypes.CDLL('libno_such_thing.so.5')", "OSError: libno_such_thing.so.5: cannot open shared object file"),
        ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
        ("from json import no_such_name", "ImportError: cannot import name 'no_such_name' from 'json'"),
        ("raise AttributeError('partially initialized module')", "AttributeError: partially initialized module"),
    ],
)  # fmt: skip
def test_a_broken_installation(module, text, sentence):
    told = failure(module(text))
    assert told.startswith(f"the libraries of backend hf cannot be opened ({sentence}")
    assert told.endswith(f"): {ANEW}")


def test_a_missing_library(module):
    with pytest.raises(MissingLibrary) as caught:
        opened(module("raise ModuleNotFoundError(\"No module named 'torch.nn'\", name='torch.nn')"), ("torch",), "hf")
    assert str(caught.value) == f"torch is not installed. Install it with: {install_command('hf')}"


def test_a_module_of_ours_that_is_missing_is_a_bug(module):
    with pytest.raises(ModuleNotFoundError):
        opened(module("import juicecap.no_such_module"), ("torch",), "hf")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise MemoryError", ""),
        ("raise ImportError('x.so: failed to map segment from shared object')", " (x.so: failed to map segment from shared"),
        ("raise OSError(12, 'Cannot allocate memory')", " ([Errno 12] Cannot allocate memory)"),
        ("raise RuntimeError(\"can't start new thread\")", " (can't start new thread)"),
    ],
)  # fmt: skip
def test_no_memory(module, text, said):
    assert failure(module(text)).startswith(f"there is too little memory to open the libraries of backend hf{said}")


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("import os; os.abort()", "signal SIGABRT"),
        (
            "import sys; print('no memory', file=sys.stderr); sys.stderr.flush(); import os; os._exit(1)",
            "exit status 1: no memory",
        ),
    ],
)
def test_under_a_limit_a_crash_costs_another_process(module, monkeypatch, text, how):
    monkeypatch.setattr(opening, "_limit", lambda: 2**30)
    assert failure(module(text)) == (
        f"there is too little memory to open the libraries of backend hf ({how}); this process may take 1024 MB "
        "(ulimit -v, ulimit -d); running again resumes"
    )
    assert failure(module("raise ImportError('libx.so: no')")) == (
        f"the libraries of backend hf cannot be opened (ImportError: libx.so: no): {ANEW}"
    )
    assert opened(module("value = 5"), (), "hf").foreign_library.value == 5


@pytest.mark.parametrize(("limit", "megabytes"), [("RLIMIT_DATA", 200), ("RLIMIT_AS", 700)])
def test_real_libraries_under_a_real_limit(limit, megabytes):
    script = f"""
        import resource
        from juicecap.errors import EnvironmentFailure
        from juicecap.vlm.backends import opening
        from juicecap.vlm.base import ModelSettings
        resource.setrlimit(resource.{limit}, ({megabytes} << 20, {megabytes} << 20))
        try:
            opening.describer(ModelSettings(model="m"))
        except EnvironmentFailure as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("there is too little memory to open the libraries of backend hf")
    assert f"this process may take {megabytes} MB (ulimit -v, ulimit -d); running again resumes" in done.stdout
