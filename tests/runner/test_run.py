"""Whole runs, with real ops on real clips: order, fates, resume, exit codes."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tarfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic_clips as clips
import yaml

import juicecap
from juicecap.errors import DataError, RecipeError, UsageError
from juicecap.runner import SilentProgress

pytestmark = pytest.mark.model

DEMO = "juicecap-demo-vlm"
COLORS = ("red", "green", "blue", "yellow", "cyan", "purple", "pink", "orange", "red")


def scene(color: str, motion: str = "right", shape: str = "circle") -> clips.Scene:
    ends = {"right": ((0.22, 0.5), (0.78, 0.5)), "left": ((0.78, 0.5), (0.22, 0.5)), "still": ((0.5, 0.5), (0.5, 0.5))}
    start, end = ends[motion]
    return clips.Scene(
        shape, color, "black", motion, start, end, 0.25, clips.COLORS[color], clips.BACKGROUNDS["black"], noise=0.0
    )


def film(path: Path, color: str, motion: str = "right") -> str:
    form = clips.ClipFormat(64, 64, fps=12, frames=24)
    made = scene(color, motion)
    clips.encode((clips.render(made, index / 23, 64, 64) for index in range(24)), form.fps, path)
    return clips.caption(made)


def texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


def as_text(caption: str) -> str:
    return f"<__dj__video> {caption} <|__dj__eoc|>"


class Listener(SilentProgress):
    def __init__(self) -> None:
        self.steps: list[tuple[str, bool]] = []

    def started(self, op: str, number: int, of: int, samples: int, *, finished: bool) -> None:
        self.steps.append((op, finished))


class Job:
    """A folder with clips, a dataset and a recipe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.captions: list[str] = []
        rows = []
        for index, color in enumerate(COLORS):
            self.captions.append(film(folder / f"{index}.mp4", color))
            rows.append({"id": f"{index:03d}", "videos": [f"{index}.mp4"]})
        self.write_rows(rows)
        self.output = folder / "out" / "captions.jsonl"
        self.process = [
            {"video_duration_filter": {"min_duration": 0.5}},
            {"video_captioning_from_vlm_mapper": {"hf_model": DEMO, "keep_original_sample": False}},
            {"text_length_filter": {}},
        ]

    def write_rows(self, rows: list[dict]) -> None:
        (self.folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def rows(self) -> list[dict]:
        return [json.loads(line) for line in (self.folder / "data.jsonl").read_text(encoding="utf-8").splitlines()]

    def run(self, listener: Listener | None = None, *, limit: int | None = None, overwrite: bool = False, **keys: object):
        recipe = self.folder / "recipe.yaml"
        settings = {"dataset_path": str(self.folder / "data.jsonl"), "export_path": str(self.output), "process": self.process}
        recipe.write_text(yaml.safe_dump({**settings, **keys}), encoding="utf-8")
        return juicecap.run(recipe, progress=listener, limit=limit, overwrite=overwrite)

    @property
    def work_dir(self) -> Path:
        return self.output.with_suffix(".run")

    def rejections(self) -> list[dict]:
        return [json.loads(line) for line in (self.work_dir / "rejected.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    Job(folder)
    return folder


@pytest.fixture
def job(filmed: Path, tmp_path: Path) -> Job:
    made = Job.__new__(Job)
    shutil.copytree(filmed, tmp_path / "job")
    made.folder = tmp_path / "job"
    made.captions = [clips.caption(scene(color)) for color in COLORS]
    made.output = made.folder / "out" / "captions.jsonl"
    made.process = [
        {"video_duration_filter": {"min_duration": 0.5}},
        {"video_captioning_from_vlm_mapper": {"hf_model": DEMO, "keep_original_sample": False}},
        {"text_length_filter": {}},
    ]
    return made


def test_captions_are_right_and_in_order(job: Job) -> None:
    result = job.run()
    assert texts(job.output) == [as_text(caption) for caption in job.captions]
    assert (result.samples, result.exported, result.rejected, result.filtered, result.exit_code) == (9, 9, 0, 0, 0)
    assert [json.loads(line)["id"] for line in job.output.read_text().splitlines()] == [f"{index:03d}" for index in range(9)]


def test_one_bad_clip_among_ten_is_rejected_alone_and_the_exit_code_says_so(job: Job) -> None:
    rows = job.rows()
    rows.insert(4, {"id": "bad", "videos": ["bad.mp4"], "note": "keep me"})
    job.write_rows(rows)
    (job.folder / "bad.mp4").write_text("not a video", encoding="utf-8")
    result = job.run()
    assert texts(job.output) == [as_text(caption) for caption in job.captions]
    assert (result.samples, result.exported, result.rejected, result.exit_code) == (10, 9, 1, 3)
    (rejection,) = job.rejections()
    assert rejection["id"] == "data.jsonl:5"
    assert rejection["op"] == "video_duration_filter[1]"
    assert rejection["code"] == "UNREADABLE"
    assert "bad.mp4 is not a video that can be read" in rejection["message"]
    assert rejection["retryable"] is False
    assert rejection["sample"] == {"id": "bad", "videos": ["bad.mp4"], "note": "keep me"}


@pytest.mark.parametrize(("allowed", "code"), [(0.1, 0), (0.09, 3), (1, 0), (0, 3)])
def test_max_rejected_is_a_share_or_a_number(job: Job, allowed: float, code: int) -> None:
    job.process = job.process[:1]
    rows = [*job.rows(), {"id": "gone", "videos": ["gone.mp4"]}]
    job.write_rows(rows)
    assert job.run(max_rejected=allowed).exit_code == code
    assert job.rejections()[0]["code"] == "FILE_NOT_FOUND"


def test_rejections_of_later_ops_are_written_down_too(job: Job) -> None:
    rows = job.rows()[:3]
    rows[1]["text"] = "<__dj__video><__dj__video>"
    job.write_rows(rows)
    job.run()
    (rejection,) = job.rejections()
    assert (rejection["op"], rejection["code"]) == ("video_captioning_from_vlm_mapper[2]", "MORE_TOKENS_THAN_VIDEOS")
    assert rejection["id"] == "data.jsonl:2"
    assert texts(job.output) == [as_text(job.captions[0]), as_text(job.captions[2])]


def test_a_finished_step_is_not_repeated_and_gives_the_same_bytes(job: Job) -> None:
    job.write_rows([*job.rows(), {"id": "gone", "videos": ["gone.mp4"]}])
    job.run()
    before, rejected = job.output.read_bytes(), (job.work_dir / "rejected.jsonl").read_bytes()
    job.output.unlink()
    listener = Listener()
    result = job.run(listener)
    assert [finished for _, finished in listener.steps] == [True, True, True]
    assert job.output.read_bytes() == before
    assert (job.work_dir / "rejected.jsonl").read_bytes() == rejected
    assert (result.rejected, result.exported, result.steps[1].counts.captions) == (1, 9, 9)


def test_an_edited_op_and_those_behind_it_run_again_and_those_before_it_do_not(job: Job) -> None:
    job.run()
    job.process[2] = {"text_length_filter": {"max_len": 80}}
    listener = Listener()
    job.run(listener)
    assert [finished for _, finished in listener.steps] == [True, True, False]
    job.process[0] = {"video_duration_filter": {"min_duration": 0.4}}
    listener = Listener()
    job.run(listener)
    assert [finished for _, finished in listener.steps] == [False, False, False]


def test_run_options_do_not_make_an_op_run_again(job: Job) -> None:
    job.run()
    job.process[1]["video_captioning_from_vlm_mapper"]["batch_size"] = 2
    listener = Listener()
    job.run(listener)
    assert [finished for _, finished in listener.steps] == [True, True, True]


def test_a_clip_replaced_under_the_same_path_is_captioned_again(job: Job) -> None:
    job.run()
    caption = film(job.folder / "3.mp4", "green", "left")
    os.utime(job.folder / "3.mp4", ns=(1, 1))
    listener = Listener()
    job.run(listener)
    assert [finished for _, finished in listener.steps] == [False, False, False]
    assert texts(job.output)[3] == as_text(caption)


def test_a_damaged_step_file_is_made_again(job: Job) -> None:
    job.run()
    before = job.output.read_bytes()
    (step,) = (job.work_dir / "steps").glob("02-*.arrow")
    step.write_bytes(step.read_bytes()[:100])
    job.run()
    assert job.output.read_bytes() == before


def test_limit_takes_the_first_samples(job: Job) -> None:
    result = job.run(limit=2)
    assert texts(job.output) == [as_text(caption) for caption in job.captions[:2]]
    assert result.samples == 2


@pytest.mark.slow
def test_batch_size_does_not_change_the_output(job: Job) -> None:
    outputs = []
    for size in (1, 3, 16):
        job.process[1] = {
            "video_captioning_from_vlm_mapper": {
                "hf_model": DEMO,
                "caption_num": 2,
                "keep_candidate_mode": "all",
                "sampling_params": {"temperature": 1.8, "max_tokens": 24},
                "batch_size": size,
            }
        }
        shutil.rmtree(job.work_dir, ignore_errors=True)
        job.run(overwrite=True)
        outputs.append(job.output.read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]
    assert len(set(texts(job.output))) > 9


def test_filtered_samples_leave_and_are_counted(job: Job) -> None:
    job.process = [{"video_resolution_filter": {"min_width": 65}}, {"video_duration_filter": {}}]
    result = job.run()
    assert job.output.read_text() == ""
    assert (result.samples, result.filtered, result.exported, result.exit_code) == (9, 9, 0, 0)


def test_an_output_of_somebody_else_is_not_overwritten(job: Job) -> None:
    job.output.parent.mkdir(parents=True)
    job.output.write_text("precious\n", encoding="utf-8")
    job.process = job.process[:1]
    with pytest.raises(UsageError, match="exists and was not written by this run; give another path, or --overwrite"):
        job.run()
    assert job.output.read_text() == "precious\n"
    job.run(overwrite=True)
    assert len(job.output.read_text().splitlines()) == 9


def test_missing_keys_and_nulls_come_back_as_they_were(job: Job) -> None:
    rows = [
        {"id": 9_007_199_254_740_993, "videos": ["0.mp4"], "extra": None, "nested": {"a": [1, 2.5, "007", None]}},
        {"videos": ["1.mp4"], "id": 2, "zip": "007"},
    ]
    job.write_rows(rows)
    job.process = job.process[:1]
    job.run(export_paths="as_written")
    back = [json.loads(line) for line in job.output.read_text().splitlines()]
    assert back == rows
    assert [set(row) for row in back] == [set(row) for row in rows]


def test_the_manifest_tells_what_was_run(job: Job) -> None:
    job.run()
    manifest = json.loads((job.work_dir / "manifest.json").read_text())
    assert manifest["juicecap"] == juicecap.__version__
    assert (manifest["samples"], manifest["exported"], manifest["captions"], manifest["rejected"]) == (9, 9, 9, 0)
    assert [step["op"] for step in manifest["steps"]] == [next(iter(item)) for item in job.process]
    entries = [entry for line in job.output.read_text().splitlines() for entry in json.loads(line)["caption_provenance"]]
    answers, asked = manifest["answers"], {entry["seed"]: entry["completion_tokens"] for entry in entries}  # by content
    assert (answers["asked"], answers["shared"]) == (len(asked), len(entries) - len(asked))
    assert answers["completion_tokens"] == sum(asked.values())
    assert yaml.safe_load((job.work_dir / "recipe.yaml").read_text())["process"] == job.process


def test_a_recipe_without_ops_copies_the_data(job: Job) -> None:
    job.process = []
    job.run(export_paths="as_written")
    assert [json.loads(line) for line in job.output.read_text().splitlines()] == job.rows()


def test_a_work_dir_that_is_a_file_is_a_sentence(job: Job) -> None:
    blocker = job.folder / "blocker"
    blocker.write_text("x")
    with pytest.raises(DataError, match="cannot be made"):
        job.run(work_dir=str(blocker))


def test_a_folder_of_videos_is_a_dataset(job: Job) -> None:
    job.process = job.process[1:2]
    result = job.run(dataset_path=str(job.folder))
    assert result.samples == 9
    assert texts(job.output) == [as_text(caption) for caption in job.captions]


def test_use_cache_false_runs_every_op_again(job: Job) -> None:
    job.process = job.process[:1]
    job.run()
    listener = Listener()
    job.run(listener, use_cache=False)
    assert [finished for _, finished in listener.steps] == [False]


def test_the_share_of_rejected_samples_is_one_of_the_input_whatever_mappers_add(job: Job) -> None:
    job.write_rows([*job.rows(), {"id": "gone", "videos": ["gone.mp4"]}])
    job.process = [
        {"video_captioning_from_vlm_mapper": {"hf_model": DEMO, "caption_num": 3, "keep_candidate_mode": "all"}},
    ]
    result = job.run()
    assert (result.added, result.exported, result.rejected, result.exit_code) == (27, 36, 1, 3)


@pytest.mark.parametrize(
    ("op", "parameter", "column"),
    [
        ("video_captioning_from_vlm_mapper", "video_key", "clips"),
        ("video_captioning_from_vlm_mapper", "prompt_key", "ask"),
        ("video_duration_filter", "video_key", "clips"),
        ("video_resolution_filter", "video_key", "clips"),
        ("text_length_filter", "text_key", "words"),
    ],
)
def test_a_column_that_the_data_lacks_is_an_error_from_python_too(job: Job, op: str, parameter: str, column: str) -> None:
    job.process = [{op: {parameter: column}}]
    with pytest.raises(RecipeError, match=rf"{op}\[1\]: the data has no column '{column}', which {parameter} names; it has id"):
        job.run()
    assert not job.output.exists()


def test_a_column_that_holds_something_else_already_keeps_both(job: Job) -> None:
    rows = [{"videos": ["0.mp4"], "caption": "old"}, {"videos": ["1.mp4"], "caption": "older"}]
    job.write_rows(rows)
    job.process = [
        {
            "video_captioning_from_vlm_mapper": {
                "hf_model": DEMO,
                "caption_field": "caption",
                "provenance_field": None,
            }
        }
    ]
    (job.folder / "1.mp4").write_text("not a video", encoding="utf-8")
    job.run()
    assert [json.loads(line) for line in job.output.read_text().splitlines()] == [
        {"videos": ["../0.mp4"], "caption": [job.captions[0]]}
    ]
    assert job.rejections()[0]["sample"] == rows[1]


def test_values_that_json_lacks_are_written_as_text(job: Job) -> None:
    table = pa.table(
        {
            "videos": [["0.mp4"], ["gone.mp4"]],
            "when": pa.array([dt.datetime(2026, 1, 2, 3, 4, 5)] * 2),
            "price": pa.array([Decimal("1.50")] * 2),
        }
    )
    pq.write_table(table, job.folder / "data.parquet")
    job.process = job.process[:1]
    job.run(dataset_path=str(job.folder / "data.parquet"))
    wanted = {"when": "2026-01-02T03:04:05", "price": "1.50"}
    assert json.loads(job.output.read_text()) == {"videos": ["../0.mp4"], **wanted}
    assert job.rejections()[0]["sample"] == {"videos": ["gone.mp4"], **wanted}


def test_an_output_in_a_folder_with_braces(job: Job) -> None:
    job.output = job.folder / "{2026}" / "out.jsonl"
    job.process = job.process[:1]
    assert job.run().exported == 9


def test_a_run_that_died_behind_its_export_may_replace_it(job: Job) -> None:
    job.process = job.process[:1]
    job.run()
    (job.work_dir / "manifest.json").unlink()
    assert job.run().exported == 9


def test_two_outputs_of_one_run_folder_are_both_its_own(job: Job) -> None:
    job.process = job.process[:1]
    for suffix in (".jsonl", ".csv", ".jsonl"):
        job.output = job.output.with_suffix(suffix)
        assert job.run().exported == 9


def test_formulas_in_a_csv_are_marked_as_texts_where_the_recipe_says_so(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text('{"text": "=1+1", "n": -1}\n{"text": "one", "n": 2}\n')
    recipe = tmp_path / "recipe.yaml"
    keys = {"dataset_path": str(tmp_path / "data.jsonl"), "export_path": str(tmp_path / "out.csv"), "process": []}
    for choice, first in (("raw", "=1+1"), ("escape", "'=1+1")):
        for shard_size, file in ((0, tmp_path / "out.csv"), (1000, tmp_path / "out" / "out-00-of-01.csv")):
            recipe.write_text(yaml.safe_dump({**keys, "export_csv_formulas": choice, "export_shard_size": shard_size}))
            juicecap.run(recipe)
            assert file.read_bytes().decode() == f"text,n\r\n{first},-1\r\none,2\r\n"


def test_an_export_is_the_dataset_of_another_run(job: Job) -> None:
    """Of a table, of a folder, and of shards, whose media were unpacked for the first run."""
    job.process = [{"video_duration_filter": {"min_duration": 0.1}}]
    films = job.folder / "films"
    films.mkdir()
    shutil.copy(job.folder / "0.mp4", films / "a.mp4")
    with tarfile.open(job.folder / "films.tar", "w") as tar:
        tar.add(films / "a.mp4", "a.mp4")
    for number, source in enumerate(("data.jsonl", "films", "films.tar")):
        first, second = (job.folder / f"out{number}" / name / "rows.jsonl" for name in ("first", "deep/second"))
        job.run(dataset_path=str(job.folder / source), export_path=str(first))
        result = job.run(dataset_path=str(first), export_path=str(second))
        assert (result.exported, result.rejected) == (len(first.read_text().splitlines()), 0)
        for line in second.read_text().splitlines():
            (path,) = json.loads(line)["videos"]
            assert not os.path.isabs(path)
            assert (second.parent / path).stat().st_size > 0
    assert [path.name for path in (job.folder / "out2/first/rows.run/media").rglob("*.mp4")] == ["a.mp4"]
