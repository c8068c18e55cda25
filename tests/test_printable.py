"""Texts of others on a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from juicecap.printable import printable, printable_json, printable_line

pytestmark = pytest.mark.process

ODD = "a\x1b[31mb\x07\x9bc\r\u202ed\u2066e\u2028f\udcffg\x7f"
SHOWN = "a\ufffd[31mb\ufffd\ufffdc\ufffd\ufffdd\ufffde\ufffdf\ufffdg\ufffd"


def test_what_a_terminal_might_obey_is_taken_out_and_the_rest_stays() -> None:
    assert printable(ODD) == SHOWN
    assert printable("é 视频\t🎬\u200d\n") == "é 视频\t🎬\u200d\n"
    assert printable_line("a\nb\r") == "a\ufffdb\ufffd"


def test_json_says_the_same() -> None:
    text = printable_json(json.dumps({"a": f"{ODD}é"}, ensure_ascii=False, indent=2))
    assert json.loads(text) == {"a": f"{ODD}é"}
    assert printable(text) == text
    assert "é" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["check", "{name}.yaml"], 0),
        (["check", "{name}.yaml", "--json"], 0),
        (["check", "none{name}.yaml"], 1),
        (["check", "{name}.yaml", "--set", "se{name}=4"], 2),
        (["check", "{name}.yaml", "--set", 'export_path="{quoted}.xyz"'], 1),
        (["plan", "{name}.yaml"], 0),
        (["preview", "{name}.yaml"], 0),
        (["run", "{name}.yaml"], 0),
        (["ops", "--operators", "{name}.py"], 1),
        (["init", "{name}"], 2),
        (["init", "a\x1b[31mb\u202e"], 0),
        (["schema", "--operators", "{name}"], 1),
        (["status", "{name}"], 2),
        (["check", "{name}.yaml", "{name}"], 2),
        (["{name}"], 2),
        (["ops", "{name}"], 1),
    ],
)
def test_no_verb_says_what_a_terminal_obeys(words: list[str], code: int, tmp_path: Path) -> None:
    name = "a\x1b[31mb\x07c\r\u202ed\udcff"
    (tmp_path / f"{name}.jsonl").write_text('{"text": "a text that is long enough"}\n')
    quoted = "".join(f"\\x{ord(char):02x}" if char < " " else char for char in name[:-1])
    (tmp_path / f"{name[:-1]}.jsonl").write_text('{"text": "a text that is long enough"}\n')
    (tmp_path / f"{name}.yaml").write_text(
        f'dataset_path: "{quoted}.jsonl"\nexport_path: "out/{quoted}.jsonl"\nprocess: [text_length_filter]\n'
    )
    command = [sys.executable, "-m", "juicecap", *(word.format(name=name, quoted=quoted) for word in words)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=120)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, err
    assert printable(out + err) == out + err
