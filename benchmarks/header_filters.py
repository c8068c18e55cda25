"""What filters of headers cost: a recipe with two of them, against one probe after the other.

    python benchmarks/header_filters.py [--clips N]

The clips are small, and each is a file of its own. `ratio` is the wall time of probing each clip twice, once for each filter, one
after the other in a decoding worker, over that of the recipe, which reads each header once, in as many workers as there are
cores. `floor_share` is the CPU time of probing each clip once, divided by the cores, over the wall time of the recipe: 1 is a
recipe that does nothing else, and leaves no core idle. `read_share` is what was read of the clips over their size; it is printed
as bytes, too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path

from common import bytes_read, conclude, film

import juicecap
from juicecap.media.load import video_info
from juicecap.media.workers.pool import DecodePool, usable_cores

DIFFERENT = 50
"""Clips that are filmed; the others are copies of them."""

FILTERS = [{"video_duration_filter": {"min_duration": 0.1}}, {"video_resolution_filter": {"min_width": 16}}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = _clips(folder, options.clips)
        size = sum(path.stat().st_size for path in paths)
        floor = _cpu_seconds_of_probing(paths)
        apart = asyncio.run(_one_after_the_other(paths, times=len(FILTERS)))
        _run(folder, paths[:20])  # what is imported and started once is not measured
        before = bytes_read()
        wall = _run(folder, paths)
        read = bytes_read() - before
    cores = usable_cores()
    print(f"one after the other, for each filter: {apart:.2f} s ({1000 * apart / len(paths) / len(FILTERS):.2f} ms a probe)")
    print(f"the recipe: {wall:.2f} s; probing each clip once: {floor:.2f} CPU seconds, {floor / cores:.2f} s on {cores} cores")
    print(f"read: {read:,} bytes ({read / len(paths):,.0f} a clip) of {size:,}")
    conclude(ratio=apart / wall, floor_share=floor / cores / wall, read_share=read / size)


def _clips(folder: Path, count: int) -> list[Path]:
    made = film(folder, min(DIFFERENT, count), seed=14)
    copies = [folder / f"copy_{number:05d}.mp4" for number in range(count - len(made))]
    for number, copy in enumerate(copies):
        shutil.copy(made[number % len(made)].path, copy)
    return [*(each.path for each in made), *copies]


def _cpu_seconds_of_probing(paths: list[Path]) -> float:
    """CPU seconds of probing each clip once, in this process."""
    began = time.process_time()
    for path in paths:
        video_info(str(path))
    return time.process_time() - began


async def _one_after_the_other(paths: list[Path], times: int) -> float:
    """Seconds in which one worker probes each clip so many times."""
    pool = DecodePool(1)
    try:
        await pool.probe(str(paths[0]))
        began = time.monotonic()
        for _ in range(times):
            for path in paths:
                await pool.probe(str(path))
        return time.monotonic() - began
    finally:
        await pool.close()


def _run(folder: Path, paths: list[Path]) -> float:
    """Seconds that the recipe takes for these clips."""
    place = folder / f"run_{len(paths)}"
    place.mkdir()
    (place / "data.jsonl").write_text("".join(json.dumps({"videos": [str(path)]}) + "\n" for path in paths), encoding="utf-8")
    recipe = {"dataset_path": str(place / "data.jsonl"), "export_path": str(place / "out.jsonl"), "process": FILTERS}
    (place / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    began = time.monotonic()
    result = juicecap.run(place / "recipe.yaml")
    seconds = time.monotonic() - began
    assert result.exported == len(paths), result
    return seconds


if __name__ == "__main__":
    main()
