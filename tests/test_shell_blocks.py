"""Each block of commands in the documentation is run, or says in a comment before it why it is not.

A page is followed from its top to its end in one folder. A recipe (or an op) whose first line is its name (`# my.yaml`) is
written to that file, and commands are run where they stand: those of juicecap in this process, with the model scripted, others by
bash.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest
from documented import FENCE, PAGES, ROOT, TRANSLATION, furnish, named
from scripted import Script, stands_in_for_all

from juicecap.cli import main

SHELL = ("", "bash", "sh", "shell", "console")
WHY = re.compile(r"<!-- (not run here: \S.*|run by \S+) -->")
FILE = re.compile(r"# ([\w/]+\.\w+)\n")
HARMLESS = ("export", "head", "juicecap", "ls")
"""Programs that blocks begin with; others are not run here, and their blocks say so."""
OPERATORS = {"|", "||", "&", "&&", ";", "<", ">", ">>", "(", ")"}


def steps(page: Path) -> list[tuple[str, str, str]]:
    """Each block of a page: its language, its text, and what the comment says that stands before it, if there is one."""
    text = page.read_text(encoding="utf-8")
    found = [(match, text[: match.start()].rstrip().rpartition("\n")[2]) for match in FENCE.finditer(text)]
    return [(match[1], match[2], why[1] if (why := WHY.fullmatch(before)) else "") for match, before in found]


def followed() -> list[Path]:
    """The pages with commands that are run here; those of a translation are those of its original."""
    pages = [page for page in PAGES if page != TRANSLATION]
    return [page for page in pages if any(language in SHELL and not why for language, _, why in steps(page))]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script, closed: None) -> Callable[[str], int]:
    """Runs a line of a block in a folder with everything that the pages name; returns its exit code."""
    stands_in_for_all(monkeypatch)
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda *_: True)
    program = tmp_path / "bin" / "juicecap"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m juicecap "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(line: str) -> int:
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        verb, *rest = list(words)
        assert verb in HARMLESS, f"say before the block why it is not run here: {line}"
        if verb == "export":
            monkeypatch.setenv(*rest[0].split("=", 1))
            return 0
        if verb == "juicecap" and not OPERATORS & set(rest):
            return main(rest)
        return subprocess.run(["bash", "-euo", "pipefail", "-c", line], check=False).returncode

    return run


def lines(body: str) -> list[str]:
    """The commands of a block, without prompts and comments."""
    whole = body.replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in whole if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("page", followed(), ids=named)
def test_a_page_can_be_followed(page: Path, command: Callable[[str], int], capfd: pytest.CaptureFixture[str]) -> None:
    for language, body, why in steps(page):
        if file := FILE.match(body):
            Path(file[1]).parent.mkdir(exist_ok=True)
            Path(file[1]).write_text(body, encoding="utf-8")
        if language in SHELL and not why:
            for line in lines(body):
                assert command(line) == 0, (line, *capfd.readouterr())


def test_a_block_that_another_program_runs_names_one_that_reads_the_page() -> None:
    named_elsewhere = [(page, why.split()[-1]) for page in PAGES for _, _, why in steps(page) if why.startswith("run by")]
    assert named_elsewhere
    for page, program in named_elsewhere:
        original = "README.md" if page == TRANSLATION else page.name
        assert original in (ROOT / program).read_text(encoding="utf-8"), (page, program)


def test_a_comment_before_a_block_is_one_that_this_test_reads() -> None:
    for page in PAGES:
        for comment in re.findall(r"^(<!-- (?:not )?run.*)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert WHY.fullmatch(comment), (page, comment)
