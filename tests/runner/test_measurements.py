"""Runs with ops that measure: counted apart, kept in the journal, and repeated only where something changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from scripted import Clips

import juicecap
from juicecap.recipe import load_recipe
from juicecap.runner import RunResult
from juicecap.runner.estimate.preview import run_preview
from juicecap.vlm.pipeline import core

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("closed")]

TASK = """
def size(medium, *, factor):
    import os
    if "/03.mp4" in medium.path:
        raise ValueError("no threes")
    return factor * os.stat(medium.path).st_size
"""

OPS = """
from dataclasses import dataclass
from pathlib import Path

from juicecap.media.tasks.catalog import CUT
from juicecap.media.tasks.task import task_in_file
from juicecap.ops.base import Filter, Op
from juicecap.ops.options.media_options import MediaOptions
from juicecap.ops.registry import register
from juicecap.vlm.base import Part
from juicecap.vlm.measurement import Measurement

SIZE = task_in_file(Path(__file__).with_name("task.py"), "size")


@register
@dataclass(frozen=True, kw_only=True)
class FileSizeFilter(MediaOptions, Filter):
    measures_only = True
    most: int = 10**9
    factor: int = 1

    def media_columns(self):
        return (self.video_key,)

    def tasks(self):
        return (SIZE,)

    def requests(self, sample):
        videos = self.video_paths(sample, self.video_key)
        return [Measurement.of(SIZE, Part("video", path), factor=self.factor) for path in videos]

    def keep_by(self, sample, outcomes):
        return all(outcome.value <= self.most for outcome in outcomes)


@register
@dataclass(frozen=True, kw_only=True)
class HalvesMapper(MediaOptions, Op):
    measures_only = True

    def media_columns(self):
        return (self.video_key,)

    def converse(self, sample):
        (path,) = self.video_paths(sample, self.video_key)
        halves = yield [Measurement.of(CUT, Part("video", f"{path}#t={part}")) for part in ("0,1", "1")]
        return [{**sample, self.video_key: [half.value["path"]]} for half in halves]
"""


class Job:
    """A folder with six clips and a recipe."""

    def __init__(self, folder: Path, clips: Clips) -> None:
        self.folder, self.run_folder = folder, folder / "out.run"
        for path in clips.paths[:6]:
            shutil.copy(path, folder)
        names = [Path(path).name for path in clips.paths[:6]]
        (folder / "data.jsonl").write_text("".join(json.dumps({"videos": [name]}) + "\n" for name in names))
        (folder / "task.py").write_text(TASK)
        (folder / "ops.py").write_text(OPS)

    def run(self, *process: dict[str, Any], **keys: Any) -> RunResult:
        core.close()
        recipe = {
            "custom_operator_paths": str(self.folder / "ops.py"),
            "dataset_path": str(self.folder / "data.jsonl"),
            "export_path": str(self.folder / "out.jsonl"),
            "max_rejected": 1.0,
            "process": list(process),
            **keys,
        }
        (self.folder / "recipe.yaml").write_text(json.dumps(recipe))
        return juicecap.run(self.folder / "recipe.yaml")

    def preview(self) -> list[str]:
        """The videos of the results of a preview of the last recipe."""
        results = run_preview(load_recipe(self.folder / "recipe.yaml"), 6).results
        return [video for samples in results.values() for sample in samples for video in sample["videos"]]

    @property
    def videos(self) -> list[str]:
        return [json.loads(line)["videos"][0] for line in (self.folder / "out.jsonl").read_text().splitlines()]


@pytest.fixture
def job(tmp_path: Path, clips: Clips) -> Job:
    return Job(tmp_path, clips)


def measured(result: RunResult) -> list[tuple[int, int]]:
    return [(step.measured, step.measured_before) for step in result.steps]


def test_what_was_measured_is_not_measured_again(job: Job) -> None:
    size = {"file_size_filter": {}}
    result = job.run(size)
    assert measured(result) == [(6, 0)]
    assert result.reasons == {"TASK_FAILED": 1}
    assert (result.asked, result.replayed, result.total("captions")) == (0, 0, 0)
    manifest = json.loads((job.run_folder / "manifest.json").read_text())
    assert (manifest["steps"][0]["measured"], manifest["steps"][0]["measured_before"]) == (6, 0)
    shutil.rmtree(job.run_folder / "steps")
    again = job.run(size)
    assert (measured(again), again.reasons) == ([(0, 6)], {"TASK_FAILED": 1})
    assert measured(job.run({"file_size_filter": {"most": 5}})) == [(0, 6)]
    assert job.videos == []
    assert measured(job.run({"file_size_filter": {"factor": 2}})) == [(6, 0)]


def test_an_edited_task_is_run_again(job: Job) -> None:
    size = {"file_size_filter": {}}
    job.run(size)
    assert job.run(size).steps[0].finished_before
    (job.folder / "task.py").write_text(TASK.replace('if "/03.mp4" in medium.path', "if False"))
    result = job.run(size)
    assert (measured(result), result.reasons) == ([(6, 0)], {})


def test_a_run_that_reads_headers_alone_has_no_journal(job: Job) -> None:
    result = job.run({"video_duration_filter": {}}, {"video_resolution_filter": {"min_width": 64}})
    assert measured(result) == [(6, 0), (0, 6)]
    assert not (job.run_folder / "journal.sqlite").exists()


@pytest.mark.parametrize("pipeline", ["auto", "off"])
def test_clips_that_an_op_writes_lie_in_the_run_folder_and_go_on(job: Job, pipeline: str) -> None:
    process = [{"halves_mapper": {}}, {"file_size_filter": {}}, {"video_duration_filter": {"max_duration": 1.05}}]
    result = job.run(*process, pipeline=pipeline)
    assert result.exported == 12
    files = sorted((job.run_folder / "media").iterdir())
    assert len(files) == 12
    assert sorted(str((job.folder / video).resolve()) for video in job.videos) == [str(file.resolve()) for file in files]
    before, content = job.videos, [file.read_bytes() for file in files]
    shutil.rmtree(job.run_folder / "steps")
    shutil.rmtree(job.run_folder / "media")
    again = job.run(*process, pipeline=pipeline)
    assert measured(again)[0][0] == 12 + 12  # headers of the parts, and the parts
    assert measured(again)[1] == (0, 12)  # by what the clips were made of, and not by their files
    assert job.videos == before
    assert [file.read_bytes() for file in files] == content


def test_a_preview_writes_clips_into_its_own_folder(job: Job) -> None:
    process = [{"halves_mapper": {}}, {"video_duration_filter": {"max_duration": 1.05}}]
    job.run(*process)
    written = {Path(video).name: (job.run_folder / "media" / Path(video).name).read_bytes() for video in job.videos}
    shutil.rmtree(job.run_folder / "media")
    previewed = [Path(video) for video in job.preview()]
    assert {path.parent for path in previewed} == {job.run_folder.resolve() / "preview" / "media"}
    assert {path.name: path.read_bytes() for path in previewed} == written
    assert not (job.run_folder / "media").exists()
