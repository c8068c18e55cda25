"""Whether memory grows with the number of samples, with their size, or with the length of a video.

    python benchmarks/memory.py [--few N] [--many N] [--rows N] [--seconds N] [--hours N]

Each recipe runs in a process of its own. What counts is private memory, without pages of files, at its peak: its own and that of
the processes that decode for it, added up, looked at ten times a second.

`growth_samples`: the peak for many clips over that for few; each clip has a content of its own, and the engine is scripted and
answers at once. `growth_replayed`: the same where the journal has all answers. `growth_rows`: the peak for ten times as many rows
over that for `--rows`; each row has 100 kB of text. `growth_length`: that for a video of hours over that for one of seconds, at
the same `num_frames`, with the demonstration model.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import DEMO_MODEL, clips, conclude, long_clip, private_memory
from scripted_engine import use_the_scripted_engine

COPIES, FRAMES, DIFFERENT, WIDE = 4, 16, 20, 100_000


@dataclass(frozen=True)
class Subject:
    """A recipe that runs over some samples, and what it is called."""

    name: str
    recipe: Path
    engine: str = "scripted"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--few", type=int, default=2_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--child", nargs=2, metavar=("RECIPE", "ENGINE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = _distinct_clips(folder, options.many)
        samples = [_of_clips(folder, paths[:count]) for count in (options.few, options.many)]
        asked, replayed = _growth(samples), _growth(samples)
        rows = _growth([_of_wide_rows(folder, paths, count) for count in (options.rows, 10 * options.rows)])
        length = _growth([_of_a_film(folder, seconds) for seconds in (options.seconds, 3600 * options.hours)])
    conclude(growth_samples=asked, growth_replayed=replayed, growth_rows=rows, growth_length=length)


def _growth(subjects: Sequence[Subject]) -> float:
    """The peak of the last over that of the first."""
    peaks = []
    for subject in subjects:
        peaks.append(_peak(subject))
        print(f"{subject.name}: {peaks[-1]:.0f} MiB", flush=True)
    return peaks[-1] / peaks[0]


def _peak(subject: Subject) -> float:
    """Peak of private memory in MiB."""
    child = [sys.executable, __file__, "--child", str(subject.recipe), subject.engine]
    peak = 0
    with tempfile.TemporaryFile() as log, subprocess.Popen(child, stdout=log, stderr=log) as process:
        while process.poll() is None:
            peak = max(peak, private_memory(process.pid))
            time.sleep(0.1)
        if process.returncode:
            log.seek(0)
            raise SystemExit(log.read().decode(errors="replace"))
    return peak / 2**20


def _child(recipe: str, engine: str) -> None:
    import juicecap

    if engine == "scripted":
        use_the_scripted_engine()
    result = juicecap.run(recipe)
    assert result.exported == result.samples, result


def _distinct_clips(folder: Path, count: int) -> list[str]:
    """Tiny clips, each with a content of its own: behind the film is a box that readers skip."""
    scenes = []
    for number in range(DIFFERENT):
        images = np.random.default_rng(number).integers(0, 255, (4, 32, 32, 3), np.uint8)
        clips.encode(list(images), 4, folder / "scene.mp4")
        scenes.append((folder / "scene.mp4").read_bytes())
    paths = [folder / f"{number:06d}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(scenes[number % DIFFERENT] + (16).to_bytes(4) + b"free" + number.to_bytes(8))
    return [str(path) for path in paths]


def _of_clips(folder: Path, paths: Sequence[str]) -> Subject:
    rows = ({"videos": [path]} for path in paths)
    return Subject(f"{len(paths)} clips", _recipe(folder / f"clips_{len(paths)}", rows, num_frames=2))


def _of_wide_rows(folder: Path, paths: Sequence[str], count: int) -> Subject:
    rows = ({"videos": [paths[number % len(paths)]], "notes": f"{number} " * (WIDE // 7)} for number in range(count))
    return Subject(f"{count} rows of {WIDE:,} bytes", _recipe(folder / f"rows_{count}", rows, num_frames=2))


def _of_a_film(folder: Path, seconds: float) -> Subject:
    rows = [{"videos": [str(long_clip(folder, seconds, seed=1))]}] * COPIES
    return Subject(f"{seconds:.0f} seconds", _recipe(folder / f"film_{seconds:.0f}", rows, num_frames=FRAMES), engine="hf")


def _recipe(folder: Path, rows: Iterable[dict[str, Any]], **settings: int) -> Path:
    """A recipe that filters and captions these samples."""
    folder.mkdir()
    with (folder / "data.jsonl").open("w", encoding="utf-8") as data:
        data.writelines(json.dumps(row) + "\n" for row in rows)
    op = {"hf_model": DEMO_MODEL, "sampling_params": {"max_tokens": 32}, "keep_original_sample": False, **settings}
    recipe = {
        "dataset_path": str(folder / "data.jsonl"),
        "export_path": str(folder / "out.jsonl"),
        "use_cache": False,
        "process": [{"video_duration_filter": {}}, {"video_captioning_from_vlm_mapper": op}],
    }
    (folder / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return folder / "recipe.yaml"


if __name__ == "__main__":
    main()
