"""What a run tells while it goes on and afterwards: figures, events, files for others."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from loguru import logger
from waiting import until

import juicecap
from juicecap.errors import DataError, UsageError
from juicecap.runner import RunStatus, SilentProgress, StepStatus
from juicecap.runner.local import GO_ON_AFTER_FRESH
from juicecap.runner.reporting import reporter
from juicecap.runner.reporting.metrics import metrics_text
from juicecap.runner.reporting.status import read_status, write_status
from juicecap.runner.run_folder.lock import is_locked, locked
from juicecap.runner.run_folder.log import logging_to
from juicecap.vlm.base import Answer, Outcome
from juicecap.vlm.pipeline.resources import answer_counts, engine_stats
from juicecap.vlm.pipeline.resources.answer_counts import AnswerCounts
from juicecap.vlm.pipeline.resources.engine_stats import EngineStats

PACED = '''
import time
from dataclasses import dataclass
from juicecap.ops.base import Mapper
from juicecap.ops.registry import register

@register
@dataclass(frozen=True, kw_only=True)
class PacedMapper(Mapper):
    """Takes its time."""

    seconds: float = 0.1

    def process(self, sample, outcomes):
        time.sleep(self.seconds)
        return [sample]
'''
STEP = StepStatus(op="a_mapper", number=1, state="running", samples=10, done=4, filtered=1, rejected=1, in_flight=3)


class Noting(SilentProgress):
    def __init__(self) -> None:
        self.told: list[tuple] = []
        self.statuses: list[RunStatus] = []

    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        self.told.append(("started", op, number, of, samples, finished))

    def reported(self, status: RunStatus) -> None:
        self.statuses.append(status)

    def ended(self, step: StepStatus) -> None:
        self.told.append(("ended", step.op, step.state, step.done, step.filtered, step.rejected))


@pytest.fixture
def paced(texts, monkeypatch: pytest.MonkeyPatch):
    """A job whose op takes a while, and a reporter that looks often."""
    (texts.folder / "operators.py").write_text(PACED, encoding="utf-8")
    texts.process = [{"paced_mapper": {"seconds": 0.05}}, {"text_length_filter": {"min_len": 1, "max_len": 8}}]
    monkeypatch.setattr(reporter, "LOOKED_AT", 0.02)
    monkeypatch.setattr(reporter, "WRITTEN", 0.05)
    return texts


@pytest.fixture
def status(tmp_path: Path) -> RunStatus:
    now = "2026-01-02T03:04:05.000+00:00"
    return RunStatus(
        state="running",
        recipe="/r.yaml",
        export_path="/out.jsonl",
        work_dir=str(tmp_path),
        working_directory="/",
        pid=1,
        host="here",
        started=now,
        updated=now,
        seconds=3.5,
        steps=(STEP,),
        step_count=2,
        samples=10,
    )


def test_who_listens_is_told_steps_and_figures_that_grow(paced) -> None:
    noting = Noting()
    paced.run(noting)
    assert noting.told == [
        ("started", "paced_mapper", 1, 2, 10, False),
        ("started", "text_length_filter", 2, 2, 10, False),
        ("ended", "paced_mapper", "done", 10, 0, 0),
        ("ended", "text_length_filter", "done", 10, 0, 0),
    ]
    running = [each.steps[0] for each in noting.statuses if each.steps and each.steps[0].state == "running"]
    counts = [step.done for step in running]
    assert counts == sorted(counts)
    assert len(set(counts)) > 4  # told sample by sample, not batch by batch
    last = running[-1]
    assert 1 < last.samples_per_second <= 20
    assert last.eta_seconds == pytest.approx((10 - last.done) / last.samples_per_second, abs=0.1)
    assert running[-1].engine_busy is None
    end = noting.statuses[-1]
    assert (end.state, end.exported, end.exit_code, end.samples) == ("done", 10, 0, 10)


def test_a_step_that_was_done_before_tells_its_counts(paced) -> None:
    paced.process[1] = {"text_length_filter": {"min_len": 1, "max_len": 3}}
    paced.run()
    noting = Noting()
    paced.run(noting)
    assert noting.told[2:] == [
        ("started", "text_length_filter", 2, 2, 10, True),
        ("ended", "text_length_filter", "done before", 10, 10, 0),
    ]


def test_what_a_listener_raises_ends_the_run(paced) -> None:
    class Broken(SilentProgress):
        def reported(self, status: RunStatus) -> None:
            raise ZeroDivisionError("in the listener")

    with pytest.raises(ZeroDivisionError, match="in the listener"):
        paced.run(Broken())


def state_of(folder: Path) -> str:
    try:
        return read_status(folder).state
    except UsageError:
        return ""


@pytest.mark.slow
@pytest.mark.parametrize(("ended_by", "state"), [(signal.SIGKILL, "killed"), (signal.SIGINT, "interrupted")])
def test_a_run_that_is_ended_is_told_from_one_that_lives(texts, ended_by: int, state: str) -> None:
    texts.process = ["slow_mapper"]
    run = subprocess.Popen(texts.command(), stderr=subprocess.PIPE, text=True)
    until(lambda: (texts.folder / "begun").exists() and state_of(texts.work_dir) == "running", run)
    assert is_locked(texts.work_dir) is True
    before = sorted(os.listdir(texts.work_dir))
    assert read_status(texts.work_dir).pid == run.pid
    assert sorted(os.listdir(texts.work_dir)) == before
    run.send_signal(ended_by)
    run.communicate(timeout=30)
    assert read_status(texts.work_dir).state == state
    assert is_locked(texts.work_dir) is False


def test_a_run_that_fails_says_why(texts) -> None:
    texts.fails({"text 003": ("BAD", False)})
    with pytest.raises(DataError):
        texts.run(on_error="stop")
    status = read_status(texts.work_dir)
    assert (status.state, status.exit_code) == ("failed", 1)
    assert "text 003" in status.message
    assert status.steps[0].done >= 3


def test_a_second_fresh_run_after_one_that_failed_says_that_the_first_one_could_go_on(texts, said: list[str]) -> None:
    texts.fails({"text 003": ("BAD", False)})
    for _ in range(2):
        with pytest.raises(DataError) as failed:
            juicecap.run(texts.recipe(on_error="stop"), fresh=True)
        assert failed.value.__notes__ == [GO_ON_AFTER_FRESH]
    assert read_status(texts.work_dir).fresh
    told = "the last run here had --fresh too and did not finish; this one asks for its answers again, without --fresh it would "
    told += "go on"
    assert [each for each in said if "--fresh" in each] == [told]
    texts.fails({})
    texts.run(on_error="stop")
    juicecap.run(texts.recipe(on_error="stop"), fresh=True)
    assert [each for each in said if "--fresh" in each] == [told]


def test_asking_how_a_run_stands_keeps_no_run_from_beginning(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    code = "import sys, pathlib\nfrom juicecap.runner.run_folder.lock import is_locked\n"
    code += "folder = pathlib.Path(sys.argv[1])\n"
    code += "print('on', flush=True)\nwhile True: is_locked(folder)\n"
    asker = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    assert asker.stdout
    asker.stdout.readline()
    for _ in range(20):
        with locked(tmp_path):
            pass
    assert asker.poll() is None
    asker.kill()
    asker.communicate()


def test_a_status_is_read_as_it_was_written(status: RunStatus, tmp_path: Path) -> None:
    write_status(status)
    with locked(tmp_path):
        assert read_status(tmp_path) == status
    assert read_status(tmp_path) == replace(status, state="killed")
    told = json.loads((tmp_path / "status.json").read_text())
    (tmp_path / "status.json").write_text(json.dumps({**told, "state": "done", "of a newer version": 1}))
    assert read_status(tmp_path).state == "done"


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "7", "null", '{"steps": 7}', '{"steps": []}', "[" * 100_000, b"\xff", '{"state": "odd"}', {"state": "odd"},
     {"pid": "x"}, {"updated": "yesterday"}, {"updated": "2026-01-02"}, {"steps": [{"op": 7}]}, {"steps": [[]]}],
)  # fmt: skip
def test_what_is_no_status_is_said_so(status: RunStatus, tmp_path: Path, content: object) -> None:
    text = json.dumps({**asdict(status), **content}) if isinstance(content, dict) else content
    (tmp_path / "status.json").write_bytes(text if isinstance(text, bytes) else str(text).encode())
    with pytest.raises(UsageError, match=r"status\.json is not what a run writes; is .* the folder of a run\?"):
        read_status(tmp_path)


def test_the_status_is_never_half_written(paced) -> None:
    paced.process = [{"paced_mapper": {"seconds": 0.1}}]
    seen = []

    class Reading(SilentProgress):
        def reported(self, status: RunStatus) -> None:
            seen.append(json.loads((paced.work_dir / "status.json").read_text())["state"])

    paced.run(Reading())
    assert set(seen) <= {"loading", "running", "exporting", "done"}
    assert seen[-1] == "done"
    assert paced.left() == []


def families(text: str) -> dict[str, dict[str, float]]:
    """Samples by family, read as strictly as the format is written down: HELP, TYPE, then the samples, each once."""
    found: dict[str, dict[str, float]] = {}
    kinds: dict[str, str] = {}
    helped = ""
    assert text.endswith("\n")
    for line in text.splitlines():
        if match := re.fullmatch(r"# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) [^\n]+", line):
            helped = match[1]
        elif match := re.fullmatch(r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)", line):
            assert match[1] == helped
            assert match[1] not in kinds
            kinds[match[1]] = match[2]
            found[match[1]] = {}
        else:
            label = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"'
            match = re.fullmatch(rf"([a-zA-Z_:][a-zA-Z0-9_:]*)({{{label}(?:,{label})*}}) ([0-9.e+-]+)", line)
            assert match, line
            assert match[1] == helped
            assert match[2] not in found[match[1]]
            found[match[1]][match[2]] = float(match[3])
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in kinds.items())
    return found


def test_figures_for_monitors(status: RunStatus) -> None:
    odd = replace(status, work_dir='/a "quoted"\\path\nwith a break')
    found = families(metrics_text(odd))
    run = r'{run="/a \"quoted\"\\path\nwith a break"'
    assert found["juicecap_run_up"] == {run + "}": 1}
    assert found["juicecap_samples_done_total"] == {
        run + ',op="a_mapper",step="1",fate="filtered"}': 1,
        run + ',op="a_mapper",step="1",fate="rejected"}': 1,
        run + ',op="a_mapper",step="1",fate="kept"}': 2,
    }
    assert found["juicecap_requests_in_flight"] == {run + ',op="a_mapper",step="1"}': 3}
    assert "juicecap_run_exit_code" not in found
    ended = families(metrics_text(replace(status, state="done", exit_code=3)))
    assert [*ended["juicecap_run_exit_code"].values(), *ended["juicecap_run_up"].values()] == [3, 0]


def test_a_file_for_monitors_is_kept_while_a_run_goes_on_and_only_if_wanted(paced, tmp_path: Path) -> None:
    file, seen = tmp_path / "monitors" / "run.prom", []

    class Reading(SilentProgress):
        def reported(self, status: RunStatus) -> None:
            seen.append(families(file.read_text())["juicecap_run_up"])

    with pytest.raises(DataError, match=f"there is no folder {file.parent}"):
        juicecap.run(paced.recipe(), metrics=file)
    file.parent.mkdir()
    juicecap.run(paced.recipe(), metrics=file, progress=Reading())
    assert [list(each.values()) for each in (seen[0], seen[-1])] == [[1], [0]]
    assert os.listdir(file.parent) == ["run.prom"]
    file.unlink()
    paced.run()
    assert os.listdir(file.parent) == []


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_log_tells_begin_steps_and_end_as_flat_objects(texts) -> None:
    texts.fails({"text 003": ("BAD", False)})
    texts.run(max_rejected=1.0)
    begun, first, second, done = log(texts.work_dir)
    assert (begun["event"], begun["seed"], begun["juicecap"]) == ("started", 0, juicecap.__version__)
    assert begun["recipe_digest"] == texts.manifest()["recipe_digest"]
    assert (first["op"], first["taken"], first["rejected"], first["reasons"]) == ("trouble_mapper", 10, 1, {"BAD": 1})
    assert second["message"] == "text_length_filter[2]: 9 taken, 9 kept, 0 filtered, 0 rejected, 9 given"
    assert (done["event"], done["exported"], done["exit_code"]) == ("done", 9, 0)
    assert {each["level"] for each in (begun, first, second, done)} == {"INFO"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]{12}\+00:00", begun["time"])


def test_no_key_stands_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-0123456789")
    monkeypatch.setenv("SHORT", "a")
    with logging_to(tmp_path / "log.jsonl", ["MY_KEY", "SHORT", "NOT_SET"]):
        secret = os.environ["MY_KEY"]
        logger.bind(answer={"headers": [f"Bearer {secret}"]}).warning("the server refuses {}", secret)
        try:
            int(f"bad {secret}")
        except ValueError:
            logger.exception("failed")
    text = (tmp_path / "log.jsonl").read_text()
    assert "0123456789" not in text
    first, second = log(tmp_path)
    assert (first["message"], first["answer"]) == ("the server refuses ${MY_KEY}", {"headers": ["Bearer ${MY_KEY}"]})
    assert second["traceback"].endswith("invalid literal for int() with base 10: 'bad ${MY_KEY}'\n")


def test_the_manifest_has_what_a_paper_asks_for(texts) -> None:
    texts.run(seed=7)
    manifest = texts.manifest()
    assert (manifest["juicecap"], manifest["seed"]) == (juicecap.__version__, 7)
    assert {"python", "libraries", "recipe_digest", "started", "seconds", "times", "answers"} <= manifest.keys()
    assert [(step["op"], step["taken"], step["given"], step["engine_seconds"]) for step in manifest["steps"]] == [
        ("trouble_mapper", 10, 10, 0.0),
        ("text_length_filter", 10, 10, 0.0),
    ]


def test_the_meter_counts_answers_tokens_and_the_time_in_which_an_engine_works(monkeypatch) -> None:
    now = 100.0
    monkeypatch.setattr(engine_stats, "time", SimpleNamespace(monotonic=lambda: now))
    meter = EngineStats()
    assert meter.read().in_flight == 0
    with meter.call(3), meter.call(2):
        now += 4
        inside = meter.read()
        now += 3
    answer = Answer(text="x", finish_reason="stop", tokens=5, seed=0)
    meter.count(answer_counts.given([Outcome(answers=(answer, answer), prompt_tokens=40), Outcome()]))
    meter.count({"replayed": 4, "asked": 3})
    now += 2
    after = meter.read()
    assert (inside.in_flight, after.in_flight) == (5, 0)
    assert (inside.busy_seconds, after.busy_seconds) == (4, 7)  # two calls at once are one time
    assert after.answers == AnswerCounts(asked=3, replayed=4, prompt_tokens=40, completion_tokens=10)
