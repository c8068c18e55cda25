"""`juicecap ops`: the table, one op for people and for programs, and snippets that can be pasted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from juicecap import cli
from juicecap.cli import main
from juicecap.ops import catalog, registry, schema
from juicecap.recipe.authoring.snippet import example

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with an op that has parameters without default; what it registers is forgotten."""
    monkeypatch.setattr(registry, "_registered", dict(registry.registered()))
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import dataclass, field\n"
        "from typing import Literal\n"
        "from juicecap.ops.base import Filter\n"
        "from juicecap.ops.registry import register\n\n"
        "@register\n@dataclass(frozen=True, kw_only=True)\nclass MineFilter(Filter):\n"
        "    '''Keeps mine.\n\n    And nothing else.\n    '''\n\n"
        "    owner_key: str\n    '''Column with the owner.'''\n"
        "    depth: Literal['deep', 'flat']\n    '''How deep.'''\n"
        "    share: float = field(metadata={'example': 0.5})\n    '''How much.'''\n"
        "    limit: float = float('inf')\n    '''At most.'''\n\n"
        "    def columns_required(self):\n        return (('owner_key', self.owner_key),)\n\n"
        "    def keep(self, sample):\n        return True\n",
        encoding="utf-8",
    )
    return str(path)


def test_the_table_has_each_op_in_its_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops"]) == 0
    found: dict[str, list[str]] = {}
    for block in capsys.readouterr().out.split("\n\n"):
        kind, *lines = block.splitlines()
        found[kind] = [line.split()[0] for line in lines]
    assert found == {
        kind: [name for name in catalog.names() if schema.family(catalog.find(name)) == kind]
        for kind in sorted({schema.family(catalog.find(name)) for name in catalog.names()})
    }


def test_the_table_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in told] == catalog.names()
    assert told[catalog.names().index("video_duration_filter")] == {
        "name": "video_duration_filter",
        "family": "filters",
        "summary": "Keeps samples whose videos have a duration in a range; a sample without videos passes",
    }


def test_one_op_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "video_captioning_from_vlm_mapper"]) == 0
    told = capsys.readouterr().out
    assert (
        "  keep_candidate_mode: random_any | similar_one_simhash | all, default random_any\n      Which candidates stay:" in told
    )
    assert "      Other names: hf_model_name_or_path, model_name.\n" in told
    assert "\n  reads   videos (video_key)\n  writes  text: text\n  writes  caption_provenance: list of {op, model," in told
    assert told.rstrip().endswith("provenance_field: caption_provenance")


def test_one_op_for_programs(operator: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "mine_filter", "--json", "--operators", operator]) == 0
    told = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert (told["family"], told["summary"], told["description"]) == ("filters", "Keeps mine", "Keeps mine.\n\nAnd nothing else.")
    assert [(each["name"], each["type"], each["required"], each["default"]) for each in told["parameters"][:4]] == [
        ("owner_key", "str", True, None),
        ("depth", "deep | flat", True, None),
        ("share", "float", True, None),
        ("limit", "float", False, None),
    ]
    assert (told["reads"], told["writes"]) == (["owner_key"], {})
    assert yaml.safe_load(told["snippet"]) == {
        "process": [{"mine_filter": {"owner_key": "owner_key", "depth": "deep", "share": 0.5}}]
    }
    assert told["schema"]["anyOf"][0] == {"required": ["owner_key", "depth", "share"]}


@pytest.mark.parametrize("name", catalog.BUILTIN)
def test_every_snippet_passes_check(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ops", name, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    made = example(catalog.find(name))
    assert made is not None
    media = {column: [str(ROOT / "recipes" / "clips" / "clip_05.mp4")] for column in made.media_columns()}
    record = {**dict.fromkeys(told["reads"], "a text"), **media}
    (tmp_path / "data.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(f"dataset_path: data.jsonl\nexport_path: out.jsonl\n{told['snippet']}\n", encoding="utf-8")
    assert main(["check", "recipe.yaml"]) == 0, capsys.readouterr().err


def test_an_unknown_op_of_any_form_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for options in ([], ["--json"]):
        assert main(["ops", "video_duration_fliter", *options]) == 1
        assert capsys.readouterr().err == (
            "there is no op 'video_duration_fliter'; did you mean 'video_duration_filter'?  (juicecap ops lists all)\n"
        )


@pytest.mark.parametrize("arguments", [[], ["video_captioning_from_vlm_mapper"]])
def test_a_narrow_terminal_is_kept_to(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert main(["ops", *arguments]) == 0
    prose = [line for line in capsys.readouterr().out.splitlines() if line.startswith("     ") and ":" not in line]
    assert prose
    assert max(len(line) for line in prose if " " in line.strip()) <= 20


@pytest.mark.parametrize("arguments", ["ops", "ops video_captioning_from_vlm_mapper", "ops --json", "schema", "completion bash"])
def test_a_closed_pipe_is_no_error(arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    line = f"set -o pipefail; {sys.executable} -m juicecap {arguments} | head -n 1"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_an_interrupt_while_a_verb_is_imported_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_verb", interrupted)
    assert main(["ops"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
