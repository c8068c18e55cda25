"""`juicecap ops`: the table, one op for people and for programs, and snippets that can be pasted."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from juicecap import cli
from juicecap.cli import main
from juicecap.ops import catalog, registry, schema
from juicecap.ops.base import Mapper
from juicecap.ops.options.groups import OUTPUT
from juicecap.recipe.authoring.snippet import example
from juicecap.sample import Sample
from juicecap.vlm.base import Outcome

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


def test_one_op_for_people(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    assert main(["ops", "video_captioning_from_vlm_mapper"]) == 0
    told = capsys.readouterr().out
    assert (
        "  keep_candidate_mode: random_any | similar_one_simhash | all, default random_any\n      Which candidates stay:" in told
    )
    assert "      Other names: hf_model_name_or_path, model_name.\n" in told
    heads = [line for line in told.splitlines() if line and not line.startswith(" ")]
    assert heads[3:] == [
        "model: what answers, and how it draws its words",
        "question: what is asked, and about what",
        "candidates: how many answers a question gets, and which of them stay",
        "frames: what the model sees of a video",
        "output: where the answer goes, and what stays beside it",
        "limits: which media are taken, and what reading them may cost",
        "how it runs: speed and memory, on which the output does not depend",
        "columns and tokens: every op has these; a recipe sets them once for all ops",
        "Every op also takes batch_size (default 16), on_error, skip_op_error.",
        "columns as the snippet below has them",
        "in a recipe",
    ]
    assert "words\n  hf_model: str, default Qwen/Qwen3-VL-8B-Instruct\n" in told
    assert "\n  reads   videos (video_key)\n  writes  text: text\n  writes  caption_provenance: list of {op, model," in told
    assert told.rstrip().endswith("provenance_field: caption_provenance")


def test_an_op_of_a_file_that_names_no_groups(operator: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "mine_filter", "--operators", operator]) == 0
    told = capsys.readouterr().out
    assert (
        "\n\nwhat is kept\n  owner_key: str, default none, must be set\n      Column with the owner.\n  depth: deep | flat"
        in told
    )
    assert "      At most.\n\ncolumns and tokens: every op has these;" in told


def test_an_op_of_an_installed_package_that_names_some(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @dataclass(frozen=True, kw_only=True)
    class TheirsMapper(Mapper):
        """Adds theirs."""

        column: str = field(default="theirs", metadata=OUTPUT)
        """Where it goes."""
        mark: str = "!"
        """What is added."""

        def process(self, sample: Sample, outcomes: Sequence[Outcome]) -> Sequence[Sample]:
            """The sample with the mark."""
            del outcomes
            return [{**sample, self.column: self.mark}]

    point = importlib.metadata.EntryPoint("theirs_mapper", "their_module:TheirsMapper", "juicecap.ops")
    monkeypatch.setitem(sys.modules, "their_module", SimpleNamespace(TheirsMapper=TheirsMapper))
    monkeypatch.setattr(registry, "entry_points", lambda: {point.name: point})
    assert main(["ops", "theirs_mapper"]) == 0
    told = capsys.readouterr().out
    assert "\n\nwhat it does\n  mark: str, default !\n      What is added.\n\noutput: where the answer goes, and" in told
    assert main(["ops", "theirs_mapper", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["parameters"]
    assert [(each["name"], each["group"]) for each in rows[:3]] == [
        ("mark", "what it does"),
        ("column", "output"),
        ("video_key", "columns and tokens"),
    ]


def test_an_op_without_parameters_of_its_own(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["ops", "whitespace_normalization_mapper"]) == 0
    assert "plain space.\n\nno parameters of its own\n\ncolumns and tokens: " in capsys.readouterr().out


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
    assert {each["group"] for each in told["parameters"][:4]} == {"what is kept"}
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


def test_lines_keep_to_the_terminal_and_names_stay_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["ops", "video_captioning_from_vlm_mapper"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 80
    assert "  keep_candidate_mode: random_any | similar_one_simhash | all, default\n          random_any\n      Which" in told
    assert "or an\n      OpenAI-compatible server." in told
    assert "  writes  caption_provenance: list of {op, model, revision, prompt,\n          system_prompt," in told


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
