"""Runs that go on and recipes that were edited: what the model is asked, and that the output is that of an undisturbed run."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from scripted import Clips, Script, prompt_of

import juicecap
from juicecap.errors import EnvironmentFailure
from juicecap.report.summary import summary
from juicecap.runner import RunResult, SilentProgress
from juicecap.vlm.base import Failure
from juicecap.vlm.pipeline import core

pytestmark = [pytest.mark.model, pytest.mark.process, pytest.mark.slow]

DEMO = "juicecap-demo-vlm"


class Listener(SilentProgress):
    def __init__(self) -> None:
        self.finished: list[bool] = []
        self.foretold: list[tuple[int, int, bool]] = []

    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        self.finished.append(finished)

    def foreseen(self, replayed: int, asked: int, *, shared: int, whole: bool) -> None:
        self.foretold.append((replayed, asked, whole))


class Job:
    """Six clips, and a recipe that captions them."""

    def __init__(self, folder: Path, clips: Clips, model: str) -> None:
        self.folder = folder
        self.output = folder / "out" / "captions.jsonl"
        for number, path in enumerate(clips.paths[:6]):
            shutil.copy(path, folder / f"{number}.mp4")
        self.rows([f"{number}.mp4" for number in range(6)])
        self.op: dict = {
            "hf_model": model,
            "keep_original_sample": False,
            "sampling_params": {"temperature": 1.5, "max_tokens": 16},
        }

    def rows(self, videos: list[str]) -> None:
        lines = (json.dumps({"videos": [video]}) + "\n" for video in videos)
        (self.folder / "data.jsonl").write_text("".join(lines), encoding="utf-8")

    def recipe(self, **keys: object) -> Path:
        path = self.folder / "recipe.yaml"
        settings = {
            "dataset_path": str(self.folder / "data.jsonl"),
            "export_path": str(self.output),
            "max_rejected": 1.0,
            "process": [{"video_captioning_from_vlm_mapper": self.op}],
        }
        path.write_text(yaml.safe_dump({**settings, **keys}), encoding="utf-8")
        return path

    def run(self, listener: Listener | None = None, *, fresh: bool = False, retry: bool = False, **keys: object) -> RunResult:
        core.close()
        return juicecap.run(self.recipe(**keys), progress=listener, overwrite=True, fresh=fresh, retry_rejected=retry)

    @property
    def work_dir(self) -> Path:
        return self.output.with_suffix(".run")

    def forget_steps(self) -> None:
        """As if the run had been killed before its first step was done."""
        shutil.rmtree(self.work_dir / "steps")

    def rejections(self) -> list[tuple[str, str]]:
        lines = (self.work_dir / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
        return [(each["id"], each["code"]) for each in map(json.loads, lines)]


@pytest.fixture
def job(tmp_path, clips, script) -> Job:
    return Job(tmp_path, clips, script.model)


@pytest.fixture
def demo(tmp_path, clips) -> Job:
    return Job(tmp_path, clips, DEMO)


def asked(script: Script) -> int:
    """Requests that reached the engine since this was called last."""
    count = sum(map(len, script.batches))
    script.batches.clear()
    return count


def test_a_run_that_goes_on_asks_nothing_twice_and_gives_the_same_bytes(job, script):
    job.run()
    before = job.output.read_bytes()
    assert asked(script) == 6
    job.forget_steps()
    script.opened.clear()
    listener = Listener()
    result = job.run(listener)
    assert (asked(script), script.opened, listener.finished) == (0, [], [False])
    assert job.output.read_bytes() == before
    assert (result.replayed, result.asked) == (6, 0)
    assert listener.foretold == [(6, 0, True)]
    assert "answers   6: 6 replayed" in summary(result).splitlines()
    assert "replayed  30 prompt tokens, 6 completion tokens of earlier runs" in summary(result).splitlines()
    manifest = json.loads((job.work_dir / "manifest.json").read_text())
    assert manifest["answers"] == manifest["steps"][0]["answers"]
    assert (manifest["answers"]["replayed"], manifest["answers"]["asked"]) == (6, 0)


def test_what_an_edit_does_not_change_is_not_asked(job, script):
    job.op |= {"caption_num": 3, "keep_candidate_mode": "all"}
    job.run()
    assert asked(script) == 6
    job.op["keep_candidate_mode"] = "random_any"
    job.run()
    job.output = job.folder / "other" / "captions.jsonl"
    job.run(work_dir=str(job.folder / "out" / "captions.run"))
    assert asked(script) == 0
    job.op["prompt"] = "What is this?"
    job.run(work_dir=str(job.folder / "out" / "captions.run"))
    assert asked(script) == 6


def test_a_clip_that_was_replaced_is_asked_about_and_nothing_else(job, script, clips):
    job.run()
    asked(script)
    shutil.copy(clips.paths[9], job.folder / "2.mp4")
    job.run()
    ((prepared,),) = script.batches
    assert prepared.request.media()[0].value == str(job.folder / "2.mp4")


@pytest.mark.parametrize("how", ["written over", "moved there"])
def test_a_clip_that_was_replaced_under_its_size_and_time_is_asked_about_and_nothing_else(job, script, clips, how):
    clip, other = job.folder / "2.mp4", job.folder / "other.mp4"
    size = max(os.path.getsize(path) for path in (clip, clips.paths[9]))
    clip.write_bytes(clip.read_bytes().ljust(size, b"\0"))
    os.utime(clip, ns=(10**18, 10**18))
    job.run()
    before = [json.loads(line) for line in job.output.read_text().splitlines()]
    asked(script)
    other.write_bytes(Path(clips.paths[9]).read_bytes().ljust(size, b"\0"))
    if how == "moved there":
        other.replace(clip)
    else:
        shutil.copyfile(other, clip)
    os.utime(clip, ns=(10**18, 10**18))
    result = job.run()
    ((prepared,),) = script.batches
    assert prepared.request.media()[0].value == str(clip)
    assert (result.replayed, result.asked) == (5, 1)
    after = [json.loads(line) for line in job.output.read_text().splitlines()]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False, True, True, True]


def test_clips_that_were_copied_or_touched_are_not_asked_about(job, script):
    """Their digests are taken again, and what they were asked is replayed."""
    job.run()
    before = job.output.read_bytes()
    asked(script)
    for number in range(6):
        clip = job.folder / f"{number}.mp4"
        if number % 2:
            clip.touch()
        else:
            shutil.copy(clip, job.folder / "copy")
            (job.folder / "copy").replace(clip)
    listener = Listener()
    result = job.run(listener)
    assert (asked(script), result.replayed, listener.finished) == (0, 6, [False])
    assert job.output.read_bytes() == before


def test_a_damaged_table_is_made_again_and_asks_nothing(job, script, said):
    job.run()
    before = job.output.read_bytes()
    asked(script)
    (table,) = (job.work_dir / "steps").glob("01-*.arrow")
    content = bytearray(table.read_bytes())
    content[content.index(b"<__dj__video>") + 14] ^= 1
    table.unlink()
    table.write_bytes(content)
    result = job.run()
    assert (asked(script), result.replayed) == (0, 6)
    assert job.output.read_bytes() == before
    assert said == [f"{table} is damaged (its checksum is not that of its content), so it is made again"]


def test_more_rows_ask_for_themselves(job, script, clips):
    job.run()
    asked(script)
    shutil.copy(clips.paths[9], job.folder / "9.mp4")
    job.rows(["9.mp4", *(f"{number}.mp4" for number in range(6))])
    listener = Listener()
    result = job.run(listener)
    assert (asked(script), result.replayed, result.asked) == (1, 6, 1)
    assert listener.foretold == [(6, 1, True)]


@pytest.mark.slow
def test_failures_that_may_pass_are_asked_again_and_others_if_one_says_so(job, script):
    prompts = {"1.mp4": Failure(code="SERVER_ERROR", message="m", retryable=True), "4.mp4": Failure(code="TOO_LONG", message="m")}
    real = script.answer

    def answer(prepared):
        failure = prompts.get(Path(prepared.request.media()[0].value).name)
        script.answers = {prompt_of(prepared): failure} if failure else {}
        return real(prepared)

    script.answer = answer
    job.run()
    assert job.rejections() == [("data.jsonl:2", "SERVER_ERROR"), ("data.jsonl:5", "TOO_LONG")]
    assert asked(script) == 6
    prompts.clear()
    job.run()
    assert (asked(script), job.rejections()) == (1, [("data.jsonl:5", "TOO_LONG")])
    job.forget_steps()
    job.run()
    assert (asked(script), job.rejections()) == (0, [("data.jsonl:5", "TOO_LONG")])
    job.run(retry=True)
    assert (asked(script), job.rejections()) == (1, [])
    before = job.output.read_bytes()
    job.run(fresh=True)
    assert asked(script) == 6
    assert job.output.read_bytes() == before


def test_fresh_uses_neither_steps_nor_answers(job, script):
    job.run()
    asked(script)
    listener = Listener()
    result = job.run(listener, fresh=True)
    assert (asked(script), listener.finished, listener.foretold) == (6, [False], [])
    assert (result.replayed, result.asked) == (0, 6)


def test_a_journal_that_runs_share(job, script):
    shared = job.folder / "shared" / "answers.sqlite"
    job.run(journal=str(shared))
    assert asked(script) == 6
    assert shared.exists()
    assert not (job.work_dir / "journal.sqlite").exists()
    job.output = job.folder / "second" / "captions.jsonl"
    job.run(journal=str(shared))
    assert asked(script) == 0


def test_a_damaged_journal_is_set_aside_and_the_run_goes_on(job, script, said):
    job.run()
    asked(script)
    before = job.output.read_bytes()
    job.forget_steps()
    (job.work_dir / "journal.sqlite").write_bytes(b"SQLite format 3\0" + bytes(5000))
    job.run()
    assert asked(script) == 6
    assert job.output.read_bytes() == before
    (aside,) = job.work_dir.glob("journal.sqlite.damaged-*")
    (message,) = [each for each in said if "journal" in each]
    assert f"it is set aside as {aside.name}, and what it held is asked again" in message


@pytest.mark.parametrize("mask", [1, 0x80], ids=["another letter", "no UTF-8"])
def test_a_damaged_answer_is_asked_again_and_its_neighbours_are_not(job, script, said, mask):
    job.run()
    asked(script)
    before = job.output.read_bytes()
    journal = job.work_dir / "journal.sqlite"
    raw = bytearray(journal.read_bytes())
    raw[raw.index(b'{"text":"') + 9] ^= mask
    journal.write_bytes(raw)
    for damaged in (1, 0):
        job.forget_steps()
        result = job.run()
        assert (asked(script), result.replayed) == (damaged, 6 - damaged)
        assert job.output.read_bytes() == before
    assert said == [f"{journal}: some entries are damaged; what they held is asked again"]


def test_a_shared_journal_without_its_beginning_is_set_aside(job, script, said):
    shared = job.folder / "answers.sqlite"
    job.run(journal=str(shared))
    asked(script)
    before = job.output.read_bytes()
    job.forget_steps()
    raw = bytes(4096) + shared.read_bytes()[4096:]
    shared.write_bytes(raw)
    job.run(journal=str(shared))
    assert asked(script) == 6
    assert job.output.read_bytes() == before
    (aside,) = job.folder.glob("answers.sqlite.damaged-*")
    assert aside.read_bytes() == raw
    assert [each for each in said if f"it is set aside as {aside.name}" in each]


def test_a_journal_that_cannot_be_written_ends_the_run_in_one_sentence(job, script, monkeypatch):
    from juicecap.vlm.journal.store import Store

    def full(self, records):
        raise EnvironmentFailure(f"{self.path} cannot be written: no space left; free some space and run again, which resumes")

    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(EnvironmentFailure, match=r"journal\.sqlite cannot be written: no space left") as caught:
        job.run()
    assert caught.value.exit_code == 4
    assert not job.output.exists()


def test_a_recipe_without_a_model_has_no_journal(job):
    job.run(process=[{"video_duration_filter": {}}])
    assert not (job.work_dir / "journal.sqlite").exists()


@pytest.mark.parametrize("what", ["a text", "a database", "a damaged database", "zeros"])
def test_a_file_that_is_no_journal_is_found_before_the_run_and_stays(job, what):
    file = job.folder / "precious.db"
    if what == "a text":
        file.write_text("precious")
    elif what == "zeros":
        file.write_bytes(bytes(10_000))
    else:
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE precious (x)")
    if what == "a damaged database":
        file.write_bytes(file.read_bytes()[:3000])
    before = file.read_bytes()
    recipe = str(job.recipe(journal=str(file)))
    for command in ("check", "run"):
        done = subprocess.run([sys.executable, "-m", "juicecap", command, recipe], check=False, capture_output=True, text=True)
        assert done.returncode == 1
        told = done.stderr + done.stdout
        assert f"journal: {file} is no journal; give the path of one, or of a new file" in told
        assert "if it was one and is damaged, rename it; the run then begins a new one as precious.db" in told
    assert file.read_bytes() == before
    assert [path.name for path in job.folder.iterdir() if path.name.startswith("precious.db")] == ["precious.db"]


@pytest.mark.slow
def test_more_candidates_of_the_real_model_are_those_that_it_gives_at_once(demo):
    """Byte for byte, candidates side by side, sampled hot enough that they differ."""
    demo.op |= {"caption_num": 5, "keep_candidate_mode": "all", "sampling_params": {"temperature": 2.5, "max_tokens": 16}}
    demo.run()
    at_once = demo.output.read_bytes()
    assert len({json.loads(line)["text"] for line in at_once.splitlines()}) > 20
    shutil.rmtree(demo.work_dir)
    demo.op["caption_num"] = 2
    demo.run()
    demo.op["caption_num"] = 5
    listener = Listener()
    result = demo.run(listener)
    assert (result.replayed, result.asked) == (12, 18)
    assert listener.foretold == [(12, 18, True)]
    assert demo.output.read_bytes() == at_once


@pytest.mark.slow
def test_a_run_of_the_real_model_that_goes_on_loads_no_weights(demo, monkeypatch):
    from transformers import AutoModelForImageTextToText

    demo.run()
    before = demo.output.read_bytes()
    demo.forget_steps()
    monkeypatch.setattr(AutoModelForImageTextToText, "from_pretrained", None)
    assert demo.run().asked == 0
    assert demo.output.read_bytes() == before


def test_no_secret_stands_in_the_journal(job, monkeypatch, script):
    """Neither a key nor a token, which are in the settings of the model and of the server."""
    monkeypatch.setenv("PLANTED_KEY", "sk-planted-secret")
    job.op |= {"model_params": {"token": "hf-planted-secret"}}
    job.run()
    files = [file for file in job.work_dir.iterdir() if file.name.startswith("journal.sqlite")]
    assert files
    for file in files:
        raw = file.read_bytes()
        assert b"planted-secret" not in raw
        assert os.fsencode(script.model) not in raw
