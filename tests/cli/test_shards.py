"""Shards on the command line: `run --shard`, `merge`, `check --shards`, and `status` of all of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from juicecap.cli import main
from juicecap.report.shards import whole_text
from juicecap.runner.reporting.shard_status import read_whole_status
from juicecap.runner.run_folder.lock import locked


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.jsonl").write_text(
        "".join(json.dumps({"text": " " * (number % 2) + "word"}) + "\n" for number in range(10))
    )
    settings = {
        "dataset_path": "data.jsonl",
        "export_path": "out.jsonl",
        "process": [{"whitespace_normalization_mapper": {}}, {"text_length_filter": {"min_len": 1}}],
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def test_run_and_merge(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [main(["run", "recipe.yaml", "--shard", f"{number}/2"]) for number in (2, 1)] == [0, 0]
    assert "next      shard 1/2 (rows 1 to 5) is done; when all are: juicecap merge" in capsys.readouterr().out
    assert main(["merge", "recipe.yaml", "--shards", "2"]) == 0
    assert "bytes     those of one run" in capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()] == [{"text": "word"}] * 10


def test_all_shards_in_one_run(recipe: Path) -> None:
    assert main(["run", "recipe.yaml", "--shards", "3", "--quiet"]) == 0
    assert len(Path("out.jsonl").read_text().splitlines()) == 10
    assert len(list(Path("out.run/shards").glob("*-of-03"))) == 3


def test_what_is_wrong_with_the_arguments(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "recipe.yaml", "--shard", "65/64"]) == 2
    assert capsys.readouterr().err == "--shard 65/64 names no shard: the last one is 64/64\n"
    assert main(["run", "recipe.yaml", "--shard", "1/2", "--shards", "3"]) == 2
    assert capsys.readouterr().err == "--shard 1/2 is one of 2 shards, and --shards says 3; leave --shards out\n"
    assert main(["merge", "recipe.yaml"]) == 1
    assert capsys.readouterr().err.startswith("there are no shards in out.run/shards; make the first of, say, 8: juicecap run")
    assert not Path("out.run").exists()


def test_a_shard_that_is_at_work_already(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "recipe.yaml", "--shard", "1/2"])
    capsys.readouterr()
    with locked(Path("out.run/shards/01-of-02")):
        assert main(["run", "recipe.yaml", "--shard", "1/2"]) == 4
    assert capsys.readouterr().err.startswith("out.run/shards/01-of-02 is in use by another run (process ")


def test_events_end_with_the_exit_code(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "recipe.yaml", "--shard", "1/1", "--json"]) == 0
    assert main(["merge", "recipe.yaml", "--json"]) == 0
    ends = [event for event in map(json.loads, capsys.readouterr().out.splitlines()) if event["event"] == "end"]
    assert [(event["state"], event["exit_code"], event["samples"]) for event in ends] == [("done", 0, 10)] * 2


def test_check_tells_what_is_done_where(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "recipe.yaml", "--shards", "8"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "8 shards: [1] whitespace_normalization_mapper, [2] text_length_filter",
        "merge: the output",
        "recipe.yaml: no problems (2 ops, 10 rows looked at)",
    ]
    assert main(["check", "recipe.yaml", "--shards", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["phases"] == [
        {"shards": ["whitespace_normalization_mapper", "text_length_filter"], "merge": []}
    ]


class TestStatus:
    def test_all_shards_stand_in_one_table(self, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main(["run", "recipe.yaml", "--shard", "1/4"])
        main(["run", "recipe.yaml", "--shard", "3/4"])
        capsys.readouterr()
        assert main(["status", "out.run"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "shards    4: 2 done, 2 not begun; 4 samples in those that have begun"
        assert lines[1].split() == ["shard", "state", "op", "samples", "captions", "rejected", "ETA", "host"]
        assert lines[2].split()[:7] == ["1/4", "done", "[2/2]", "text_length_filter", "2/2", "0", "0"]
        assert (lines[3], lines[4].split()[:2], lines[5]) == ("2/4    not begun", ["3/4", "done"], "4/4    not begun")

    def test_behind_a_merge_the_run_stands_above_it(self, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main(["run", "recipe.yaml", "--shards", "2"])
        capsys.readouterr()
        main(["status", "out.run"])
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("run       out.run: done")
        assert "shards    2: 2 done; 10 samples in those that have begun" in lines

    def test_one_that_was_killed_is_told_from_one_at_work(self, recipe: Path) -> None:
        main(["run", "recipe.yaml", "--shards", "2"])
        file = Path("out.run/shards/02-of-02/status.json")
        file.write_text(file.read_text().replace('"state": "done",\n "recipe"', '"state": "running",\n "recipe"'))
        with locked(file.parent):
            whole = read_whole_status(Path("out.run"))
            assert whole.at_work
            assert "shards    2: 1 done, 1 at work; 10 samples" in whole_text(whole, 100)
        whole = read_whole_status(Path("out.run"))
        assert not whole.at_work
        assert "shards    2: 1 done, 1 killed; 10 samples" in whole_text(whole, 100)

    def test_as_one_object(self, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main(["run", "recipe.yaml", "--shard", "1/2"])
        capsys.readouterr()
        assert main(["status", "out.run", "--json", "--watch"]) == 0
        (facts,) = map(json.loads, capsys.readouterr().out.splitlines())
        first, second = facts["shards"]
        assert (first["shard"], first["state"], first["samples"], second) == ("1/2", "done", 5, {"shard": "2/2"})
        status = read_whole_status(Path("out.run")).shards[0].status
        assert status
        assert json.loads(json.dumps(asdict(status))).items() <= first.items()

    def test_a_hostile_status_file_is_a_shard_that_has_not_begun(self, recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main(["run", "recipe.yaml", "--shard", "1/2"])
        capsys.readouterr()
        Path("out.run/shards/01-of-02/status.json").write_text('{"state": "\\u001b[2J"}')
        assert main(["status", "out.run"]) == 0
        assert "1/2    not begun" in capsys.readouterr().out.splitlines()
