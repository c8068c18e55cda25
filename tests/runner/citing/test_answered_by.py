"""Manifest and provenance tell whose answers a run used: of this version, of an earlier one, of several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import juicecap
from juicecap.hidden import Hidden
from juicecap.ops.mapper.image_caption_generator import ImageCaptionGenerator
from juicecap.ops.options.run_options import RunOptions
from juicecap.recipe import Step
from juicecap.runner.citing.answered_by import facts_of, note, noted
from juicecap.runner.citing.model_facts import model_facts
from juicecap.runner.retry import _typed
from juicecap.vlm.base import Answer, ModelSettings, Outcome, Request, digest_of
from juicecap.vlm.journal import Journal
from juicecap.vlm.journal.entries import engine_entry, entries_of, outcome_of
from juicecap.vlm.journal.shapes import sound
from juicecap.vlm.pipeline.sites.site import SiteRequest

if TYPE_CHECKING:
    from conftest import CaptionJob

NOW = {"juicecap": juicecap.__version__, "backend": "hf", "libraries": {}}
THEN = {**NOW, "juicecap": "0.0.7"}


def share(answers: int, engine: dict[str, Any] | None) -> dict[str, Any]:
    return {"answers": answers, "revision": "scripted", "engine": engine}


def run_of_before(job: CaptionJob) -> None:
    """A run of an earlier version, of which the journal is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(juicecap, "__version__", "0.0.7")
        job.run()
    for table in (job.work_dir / "steps").iterdir():
        table.unlink()


def test_the_manifest_says_what_was_asked_and_who_answered(job: CaptionJob) -> None:
    job.captioner |= {"sampling_params": {"temperature": 0.5, "max_tokens": 20}, "caption_num": 2, "seed": 3, "num_frames": 4}
    job.captioner |= {"keep_candidate_mode": "all", "system_prompt": "Be brief."}
    job.run()
    assert job.model() == {
        "backend": "hf",
        "name": job.script.model,
        "prompts": {
            "system_prompt": {"text": "Be brief.", "digest": digest_of("Be brief.")},
            "prompt": {"text": "What is shown?", "digest": digest_of("What is shown?")},
        },
        "prompt_columns": {},
        "sampling": {
            "temperature": 0.5,
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "max_tokens": 20,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "stop": [],
        },
        "seed": 3,
        "candidates": 2,
        "keep_candidate_mode": "all",
        "frames": {"num_frames": 4},
        "answered_by": [share(8, NOW)],
    }


def test_a_step_that_was_done_before_keeps_whose_answers_it_has(job: CaptionJob) -> None:
    job.run()
    first = job.model()
    result = job.run()
    assert [step.finished_before for step in result.steps] == [True, True]
    assert job.model() == first
    assert first["answered_by"] == [share(4, NOW)]


def test_replayed_answers_are_those_of_the_version_that_asked(job: CaptionJob) -> None:
    run_of_before(job)
    job.write(6)
    result = job.run()
    assert (result.replayed, result.asked) == (4, 2)
    assert [json.loads(entry["engine"]) for entry in job.provenance()] == [THEN] * 4 + [NOW] * 2
    assert job.model()["answered_by"] == [share(4, THEN), share(2, NOW)]


def test_an_answer_that_rows_share_counts_in_each_whether_it_was_asked_or_replayed(job: CaptionJob) -> None:
    job.write(3)
    rows = (job.folder / "data.jsonl").read_text()
    (job.folder / "data.jsonl").write_text(rows * 3)
    first = job.run()
    told = job.model()["answered_by"]
    assert (first.asked, first.answers.shared, told) == (3, 6, [share(9, NOW)])
    (job.work_dir / "steps").rename(job.folder / "gone")
    again = job.run()
    assert (again.asked, again.replayed, again.answers.shared) == (0, 3, 6)
    assert job.model()["answered_by"] == told


def test_each_candidate_is_that_of_the_version_that_asked_for_it(job: CaptionJob) -> None:
    job.captioner |= {"keep_candidate_mode": "all", "sampling_params": {"temperature": 1.0}}
    job.write(1)
    run_of_before(job)
    job.captioner["caption_num"] = 3
    job.run()
    assert [json.loads(entry["engine"])["juicecap"] for entry in job.provenance()] == ["0.0.7", *[juicecap.__version__] * 2]
    (job.work_dir / "steps").rename(job.folder / "gone")
    assert job.run().asked == 0
    assert [json.loads(entry["engine"])["juicecap"] for entry in job.provenance()] == ["0.0.7", *[juicecap.__version__] * 2]


def test_provenance_tells_how_frames_were_taken(job: CaptionJob) -> None:
    job.captioner |= {"fps": 4, "max_pixels": 100000}
    job.run()
    entry = job.provenance()[0]
    assert entry["backend"] == "hf"
    assert json.loads(entry["frames"]) == {"fps": 4.0, "min_frames": 4, "max_frames": 768, "max_pixels": 100000}


def test_a_journal_keeps_the_sizes_of_frames(tmp_path: Path) -> None:
    engine, key = json.dumps(NOW), "0" * 32
    answer = Answer(text="a", finish_reason="stop", tokens=1, seed=0, engine=engine)
    outcome = Outcome(answers=(answer,), frame_sizes=((448, 252), (16, 16)))
    asked = SiteRequest(request=Request(model=ModelSettings(model="m"), messages=()), seed=0, first=0, files={})
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.append([*engine_entry(engine), *entries_of(key, asked, outcome)])
    with Journal(tmp_path / "journal.sqlite") as journal:
        found = outcome_of(sound(journal.get_entries([key]).result()[key]), seed=0, candidates=1)
    assert found.frame_sizes == ((448, 252), (16, 16))
    assert found.answers[0].engine == engine


def test_shards_are_told_together(job: CaptionJob) -> None:
    job.run(shards=2)
    assert job.model()["answered_by"] == [share(4, NOW)]


def test_a_note_that_is_no_note_says_nothing(tmp_path: Path) -> None:
    table = tmp_path / "02-op-0123456789abcdef.arrow"
    note(table, {("", "r"): 2, (json.dumps(NOW), "r"): 3})
    assert facts_of(noted(table)) == [{**share(3, NOW), "revision": "r"}, {**share(2, None), "revision": "r"}]
    (beside,) = tmp_path.iterdir()
    for content in ("{", "[1]", '[{"engine": 1}]', '{"a": 1}', "[]"):
        beside.write_text(content)
        assert noted(table) == {}


def test_rows_that_tell_more_fit_into_a_table_that_tells_less() -> None:
    rows = [{"n": 1, "made": [{"op": "a", "engine": "e"}]}, {"n": 2, "made": None}]
    less = pa.schema([("n", pa.int64()), ("made", pa.list_(pa.struct([("op", pa.string())])))])
    typed = _typed(pa.Table.from_pylist(rows), less)
    assert typed.schema == less
    assert typed.to_pylist() == [{"n": 1, "made": [{"op": "a"}]}, {"n": 2, "made": None}]


def test_an_op_that_shows_pictures_alone_takes_no_frames() -> None:
    op = ImageCaptionGenerator(system_prompt="Be brief.", max_pixels=5000)
    step = Step(name=op.name, op=op, options=RunOptions(), settings={}, index=0, line=0, column=0)
    facts = model_facts(step, Hidden({}))
    assert facts is not None
    assert facts["frames"] == {"max_pixels": 5000}
    assert facts["prompts"]["system_prompt"]["text"] == "Be brief."
    assert facts["prompts"]["prompt"]["text"]
    assert facts["prompt_columns"] == {"input_conversation_key": "conversation"}
