"""`juicecap why`: where the samples of a run went."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scripted import Script

from juicecap.cli import main
from juicecap.ops import registry
from juicecap.runner.reporting.status import read_status, write_status
from juicecap.vlm.pipeline import core

pytestmark = pytest.mark.process

OPERATORS = '''
from dataclasses import dataclass
from juicecap.errors import SampleError
from juicecap.ops.base import Mapper
from juicecap.ops.options.model_options import ModelOptions
from juicecap.ops.registry import register
from juicecap.vlm.base import Message, Part


@register
@dataclass(frozen=True, kw_only=True)
class AskMapper(ModelOptions, Mapper):
    """Gives two answers as two samples."""

    def requests(self, sample):
        return [self.question([Message("user", (Part("text", sample["text"]),))], self.candidates())]

    def candidates(self):
        return 2

    def process(self, sample, outcomes):
        if sample["text"] == "a bad text":
            raise SampleError("BAD", f"it is {self.hf_model}")
        return [{**sample, "text": answer.text} for answer in outcomes[0].answers]
'''

RECIPE = """\
dataset_path: data.jsonl
export_path: out.jsonl
custom_operator_paths: operators.py
max_rejected: 1.0
process:
  - text_length_filter: {min_len: 3}
  - ask_mapper: {hf_model: "${MODEL}", sampling_params: {temperature: 1}}
  - text_length_filter: {min_len: 2, max_len: 9}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script) -> Iterator[Path]:
    """A run of six records: one is broken, one is short, one fails; of one both answers are cut, and one is too long."""
    monkeypatch.setattr(registry, "_registered", dict(registry.registered()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL", script.model)
    Path("operators.py").write_text(OPERATORS)
    Path("recipe.yaml").write_text(RECIPE)
    texts = ["first", "a bad text", "ab", "last", "other"]
    Path("data.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts) + "{\n")
    real = script.answer
    script.answers["last"] = ("much too long", "fits")

    def answer(prepared):
        outcome = real(prepared)
        if outcome.answers[0].text != "much too long":
            return outcome
        return replace(outcome, answers=tuple(replace(each, finish_reason="length") for each in outcome.answers))

    monkeypatch.setattr(script, "answer", answer)
    assert main(["run", "recipe.yaml", "--quiet"]) == 0
    yield tmp_path / "out.run"
    core.close()


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    capsys.readouterr()
    assert main(["why", "out.run", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_line_for_each_thing_that_happened(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys) == [
        "in                     6 samples",
        "load_dataset           1 rejected: BROKEN_RECORD          data.jsonl:6",
        "text_length_filter[1]  1 filtered                         data.jsonl:3",
        "ask_mapper[2]          3 added",
        "                       1 rejected: BAD                    data.jsonl:2",
        "                       2 of 8 captions cut by max_tokens  data.jsonl:4",
        "text_length_filter[3]  1 filtered                         data.jsonl:4",
        "out                    5 samples",
    ]
    (facts,) = map(json.loads, told(capsys, "--json"))
    assert (facts["samples"], facts["exported"], facts["complete"]) == (6, 5, True)
    assert facts["samples"] + sum(each["added"] - each["filtered"] - each["rejected"] for each in facts["steps"]) == 5
    assert facts["steps"][2]["examples"] == {"BAD": ["data.jsonl:2"], "cut": ["data.jsonl:4"]}


def test_lists(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--filtered") == [
        "data.jsonl:3\ttext_length_filter[1]\tlength 2, wanted min_len 3",
        "data.jsonl:4\ttext_length_filter[3]\tlength 13, wanted min_len 2 and max_len 9",
    ]
    broken, bad = told(capsys, "--rejected")
    assert broken.startswith("data.jsonl:6\tload_dataset\tBROKEN_RECORD: data.jsonl:6: ")
    assert bad == "data.jsonl:2\task_mapper[2]\tBAD: it is ${MODEL}"
    assert told(capsys, "--cut") == ["data.jsonl:4\task_mapper[2]\t2 of 2 captions cut by max_tokens"]
    (cut,) = map(json.loads, told(capsys, "--cut", "--json"))
    assert cut == {"id": "data.jsonl:4", "source": f"{run.parent}/data.jsonl:4", "op": "ask_mapper[2]", "captions": 2, "cut": 2}


def test_the_story_of_a_sample(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "data.jsonl:4") == [
        f"data.jsonl:4  ({run.parent}/data.jsonl:4)",
        "text_length_filter[1]  kept",
        "ask_mapper[2]          kept, 2 captions added (2 cut by max_tokens), gave 2 samples",
        "text_length_filter[3]  1 of 2: filtered: length 13, wanted min_len 2 and max_len 9",
        "                       1 of 2: kept",
        f"out                    row 3 of {run.parent}/out.jsonl",
    ]
    assert json.loads(Path("out.jsonl").read_text().splitlines()[2]) == {"text": "fits"}
    assert told(capsys, "data.jsonl:2")[1:] == [
        "text_length_filter[1]  kept",
        "ask_mapper[2]          rejected: BAD: it is ${MODEL}",
        "out                    nothing",
    ]
    (story,) = map(json.loads, told(capsys, "data.jsonl:5", "--json"))
    assert (story["rows"], story["output"], story["complete"]) == ([4, 5], f"{run.parent}/out.jsonl", True)
    assert told(capsys, "data.jsonl:6")[1].startswith("load_dataset  rejected: BROKEN_RECORD: data.jsonl:6")


@pytest.mark.parametrize(
    ("name", "near"), [("data.jsonl:7", "data.jsonl:"), ("dat.jsonl:4", "data.jsonl:4"), ("x/data.jsonl:4", "data.jsonl:4")]
)
def test_an_unknown_sample_is_a_wrong_command(run: Path, name: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "out.run", name]) == 2
    assert f"no op of the run in out.run has met a sample '{name}'; did you mean '{near}" in capsys.readouterr().err


def test_an_id_of_another_kind_is_shown_what_ids_are_like(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "out.run", "my-own-name"]) == 2
    assert "has met a sample 'my-own-name'; ids here are like 'data.jsonl:1'" in capsys.readouterr().err


def test_a_run_that_was_killed_tells_what_is_finished(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = json.loads((run / "steps.json").read_text())
    (run / "steps.json").write_text(json.dumps(steps[:2]))
    write_status(replace(read_status(run), state="running", exported=None, started="2999-01-01T00:00:00+00:00"))
    killed = "The run is not complete (killed): only what text_length_filter[1], ask_mapper[2] did is known."
    lines = told(capsys)
    assert (lines[0], lines[-1]) == ("in                     6 samples", killed)
    assert not any("BROKEN_RECORD" in line for line in lines)
    assert told(capsys, "--rejected") == ["data.jsonl:2\task_mapper[2]\tBAD"]
    assert told(capsys, "--filtered") == ["data.jsonl:3\ttext_length_filter[1]\tlength 2, wanted min_len 3"]
    assert told(capsys, "data.jsonl:4")[2:] == [
        "ask_mapper[2]          kept, 2 captions added (2 cut by max_tokens), gave 2 samples",
        killed,
    ]


def test_a_hostile_folder_does_nothing_to_the_terminal(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = {"id": "\x1b[2J\n\t3", "source": "\x1b", "op": "ask_mapper[2]", "code": "\x9b", "message": "\u202e" + "x" * 9000}
    (run / "rejected.jsonl").write_text(json.dumps(lost) + "\n")
    for arguments in ((), ("--json",), ("--rejected",), ("--rejected", "--json"), (lost["id"],)):
        printed = "\n".join(told(capsys, *arguments))
        assert not set("\x1b\x9b\u202e") & set(printed)
        assert len(printed) < 12_000
    (line,) = told(capsys, "--rejected")
    assert len(line.split("\t")) == 3
    (run / "rejected.jsonl").write_text('{"id": 3}\n')
    assert main(["why", "out.run", "--rejected"]) == 2
    assert "rejected.jsonl is not what a run writes" in capsys.readouterr().err


def test_what_is_no_run_or_damaged_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", str(run.parent)]) == 2
    assert f"{run.parent} is not the folder of a run" in capsys.readouterr().err
    (table,) = (run / "steps").glob("02-*.arrow")
    content = table.read_bytes()
    table.write_bytes(content[:-40] + b"x" * 40)
    assert main(["why", "out.run", "data.jsonl:1"]) == 1
    assert f"out.run/steps/{table.name} is damaged; run the recipe again" in capsys.readouterr().err
    table.unlink()
    assert main(["why", "out.run", "--cut"]) == 1
    assert f"{table.name}: No such file or directory; run the recipe again" in capsys.readouterr().err
    (run / "steps.json").write_text('[{"number": "x"}]')
    assert main(["why", "out.run"]) == 2
    assert "steps.json is not what a run writes" in capsys.readouterr().err
    (run / "steps.json").unlink()
    assert main(["why", "out.run"]) == 2
    assert "out.run has no steps.json: an earlier version of juicecap made it." in capsys.readouterr().err
