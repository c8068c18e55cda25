"""Whether CPU work and the engine overlap: a recipe that measures long clips, and then captions them.

    python benchmarks/overlap.py [--clips N] [--seconds N]

The engine is scripted: it takes time and no CPU, as a GPU does, as much in all as the CPU work takes on all cores, which leaves
the least slack. `overlap` is the time of the recipe over the longer of its halves: the seconds that the engine worked, and
all CPU seconds divided by the cores. `overlap_off` is the same under `pipeline: off`, where one op follows the other.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from common import DEMO_MODEL, conclude, cpu_seconds, long_clip
from scripted_engine import Device, use_the_scripted_engine

import juicecap
from juicecap.media.tasks.task import Task, task_in_file
from juicecap.media.workers.pool import usable_cores
from juicecap.ops.base import Filter
from juicecap.ops.options.media_options import MediaOptions
from juicecap.ops.registry import register
from juicecap.sample import Sample
from juicecap.vlm.base import Outcome, Part
from juicecap.vlm.measurement import Measurement

BRIGHTNESS = task_in_file(Path(__file__).with_name("brightness_task.py"), "brightness", cost=0.1)


@register
@dataclass(frozen=True, kw_only=True)
class NeverBlackFilter(MediaOptions, Filter):
    """Keeps samples whose videos are never black."""

    measures_only: ClassVar[bool] = True

    def media_columns(self) -> tuple[str, ...]:
        """The videos that are measured."""
        return (self.video_key,)

    def tasks(self) -> Sequence[Task]:
        """The op's own task."""
        return (BRIGHTNESS,)

    def requests(self, sample: Sample) -> Sequence[Measurement]:
        """A measurement of each video."""
        return [Measurement.of(BRIGHTNESS, Part("video", path), fps=2.0) for path in self.video_paths(sample, self.video_key)]

    def keep_by(self, sample: Sample, outcomes: Sequence[Outcome]) -> bool:
        """Whether no frame of any video is black."""
        del sample
        return all(min(outcome.value) > 1 for outcome in outcomes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    device = Device(batch_size=1, calls=32)
    use_the_scripted_engine(device)
    cores = usable_cores()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [long_clip(folder, options.seconds, seed=number) for number in range(options.clips)]
        _run(folder / "warm-up", paths[: 2 * cores])  # what is imported and started once is not measured
        alone, cpu = _run(folder / "cpu", paths)
        print(f"CPU work alone: {alone:.2f} s; {cpu:.2f} CPU seconds, {cpu / cores:.2f} s on {cores} cores")
        device.seconds = cpu / cores / options.clips
        overlap = {pipeline: _overlap(folder, paths, pipeline, device, cores) for pipeline in ("auto", "off")}
    conclude(overlap=overlap["auto"], overlap_off=overlap["off"])


def _overlap(folder: Path, paths: list[Path], pipeline: str, device: Device, cores: int) -> float:
    device.busy = 0.0
    wall, cpu = _run(folder / pipeline, paths, pipeline)
    halves = f"engine {device.busy:.2f} s, CPU {cpu:.2f} s, {cpu / cores:.2f} s on {cores} cores"
    print(f"pipeline {pipeline}: {wall:.2f} s ({halves})")
    return wall / max(device.busy, cpu / cores)


def _run(folder: Path, paths: list[Path], pipeline: str = "auto") -> tuple[float, float]:
    """Seconds, and CPU seconds, that the recipe takes for these clips."""
    folder.mkdir()
    (folder / "data.jsonl").write_text("".join(json.dumps({"videos": [str(path)]}) + "\n" for path in paths), encoding="utf-8")
    captioning = {"hf_model": DEMO_MODEL, "keep_original_sample": False}
    recipe = {
        "dataset_path": str(folder / "data.jsonl"),
        "export_path": str(folder / "out.jsonl"),
        "pipeline": pipeline,
        "process": [{"never_black_filter": {}}, {"video_captioning_from_vlm_mapper": captioning}],
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    began, cpu_before = time.monotonic(), cpu_seconds()
    result = juicecap.run(folder / "recipe.yaml")
    assert result.exported == len(paths), result
    return time.monotonic() - began, cpu_seconds() - cpu_before


if __name__ == "__main__":
    main()
