"""Completion in real shells: a verb, an op, an option's values, keys of `--set`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from juicecap.cli import VERBS, main
from juicecap.cli.verbs import completion

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
RECIPE = "recipes/video_caption.yaml"

BASH = r"""
eval "$(juicecap completion bash)"
COMP_LINE="$1" COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
read -ra COMP_WORDS <<< "$1"
[[ "$1" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete juicecap "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""

FISH = 'juicecap completion fish | source; complete -C"$argv[1]"'

ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=READY; stty -echo; autoload -Uz compinit && compinit -u -D; eval "$(juicecap completion zsh)"; print DE""FINED'
zpty -r -m shell seen '*DEFINED*READY*'
zpty -w -n shell "$1"$'\t'
seen= all=
for i in {1..100}; do
  zpty -r -t shell seen && all+=$seen
  [[ $all == *$2* ]] && break
  sleep 0.1
done
print -r -- $all
zpty -d shell
"""


def completed(shell: str, script: str, *arguments: str) -> str:
    """What a shell prints that runs this script with these arguments."""
    program = shutil.which(shell)
    if not program:
        pytest.skip(f"{shell} is not installed")
    name = [] if shell == "fish" else [shell]
    done = subprocess.run(
        [program, "-c", script, *name, *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": PROGRAMS, "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("juicecap ch", ["check"]),
        ("juicecap ", ["-h", "--help", "--version", *VERBS]),
        ("juicecap ops video_capt", ["video_captioning_from_vlm_mapper"]),
        ("juicecap ops --js", ["--json"]),
        ("juicecap init --template im", ["images"]),
        ("juicecap completion ", ["-h", "--help", "bash", "fish", "zsh"]),
        (f"juicecap check {RECIPE} --set max_", ["max_rejected="]),
        (f"juicecap check {RECIPE} --set text_length_filter.min_l", ["text_length_filter.min_len="]),
        ("juicecap check no_such.yaml --set sed", []),
        ("juicecap check recipes/video_ca", [RECIPE]),
    ],
)
def test_bash(line: str, offered: list[str]) -> None:
    printed = completed("bash", BASH, line)
    assert sorted(each.strip() for each in printed.splitlines() if each.strip()) == sorted(offered)


@pytest.mark.parametrize(
    ("line", "offered"), [("juicecap ch", ["check"]), ("juicecap ops video_capt", ["video_captioning_from_vlm_mapper"])]
)
def test_fish(line: str, offered: list[str]) -> None:
    assert [each.split("\t")[0] for each in completed("fish", FISH, line).splitlines()] == offered


@pytest.mark.parametrize(("line", "rest"), [("juicecap ch", "eck"), ("juicecap ops video_capt", "ioning_from_vlm_mapper")])
def test_zsh(line: str, rest: str) -> None:
    assert rest in completed("zsh", ZSH, line, rest)


def test_an_unknown_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["completion", "tcsh"])
    assert stopped.value.code == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err


def test_of_several_ops_of_a_name_each_has_its_number(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("process:\n  - text_length_filter\n  - whitespace_normalization_mapper\n  - text_length_filter:\n")
    keys = completion._keys(argparse.Namespace(recipe=str(recipe)))
    assert [key for key in keys if key.endswith((".min_len=", ".text_key="))] == [
        "text_length_filter[1].min_len=",
        "text_length_filter[1].text_key=",
        "whitespace_normalization_mapper.text_key=",
        "text_length_filter[3].min_len=",
        "text_length_filter[3].text_key=",
    ]


@pytest.mark.parametrize("what", ["pipe", "/dev/zero", "."])
def test_a_shell_does_not_wait_for_what_is_no_recipe(what: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    program = (
        "import types; from juicecap.cli.verbs import completion; "
        f"print('seed=' in completion._keys(types.SimpleNamespace(recipe={what!r})))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "True\n"
